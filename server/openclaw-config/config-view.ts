import { hash } from "node:crypto";
import path from "node:path";
import type { ConfigView } from "../core/config-view.ts";
import { isRecord } from "./read-document.ts";

/** OpenClaw's own mark: its clients know it and never send it back as a value. */
const REDACTED = "__OPENCLAW_REDACTED__";

/** Names of keys whose values are secrets, compared without case and separators. */
const SECRET_KEY =
  /(?:token|secret|password|passphrase|apikey|accesskey|privatekey|credential|authorization|cookie|signature|webhookurl)s?$/u;
/** Sections whose every value may be one. */
const SECRET_SECTION = /^(?:headers|env|vars)$/u;
/** A whole value that only names a variable. */
const REFERENCE = /^\$\{[A-Z_][A-Z0-9_]*\}$/u;
const URL_CREDENTIALS = /\b([a-z][a-z0-9+.-]*:\/\/)[^\s/@]+@/giu;
const URL_SECRET = /([?&](?:[a-z_-]*(?:token|key|secret|password|sig|signature))=)[^&#\s]+/giu;
/** Shorter ones would be found everywhere. */
const KNOWN_SECRET_MIN_LENGTH = 8;

/**
 * What `config.get` shows of a document. A secret is told by its key's name, by the section it stands in, or by being
 * one that the pool uses (`known`), wherever it is written.
 */
export function configView(
  file: string | null,
  document: Readonly<Record<string, unknown>>,
  known: Iterable<string>,
): ConfigView {
  const secrets = [...known].filter((secret) => secret.length >= KNOWN_SECRET_MIN_LENGTH);
  const clean = (text: string): string => {
    let shown = text.replaceAll(URL_CREDENTIALS, `$1${REDACTED}@`).replaceAll(URL_SECRET, `$1${REDACTED}`);
    for (const secret of secrets) shown = shown.replaceAll(secret, REDACTED);
    return shown;
  };
  const show = (value: unknown, secret: boolean): unknown => {
    if (Array.isArray(value)) return value.map((item) => show(item, secret));
    if (isRecord(value)) return record(value, secret);
    if (typeof value === "string") return secret && !REFERENCE.test(value) ? REDACTED : clean(value);
    return secret && typeof value === "number" ? REDACTED : value;
  };
  const record = (value: Readonly<Record<string, unknown>>, secret: boolean): Record<string, unknown> =>
    Object.fromEntries(
      Object.entries(value).map(([key, item]) => {
        const name = key.replaceAll(/[^A-Za-z0-9]/gu, "").toLowerCase();
        // `maxTokens` and its like are numbers, and no secrets.
        const counts = typeof item === "number" && name.endsWith("tokens");
        return [key, show(item, secret || SECRET_SECTION.test(name) || (SECRET_KEY.test(name) && !counts))];
      }),
    );
  const shown = record(document, false);
  return {
    path: file === null ? "openclaw.json" : path.basename(file),
    exists: file !== null,
    document: shown,
    hash: `sha256:${hash("sha256", JSON.stringify(shown), "hex")}`,
  };
}
