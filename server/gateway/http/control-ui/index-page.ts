import { hash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { contentSecurityPolicy, inlineScriptHashes } from "./security.ts";

interface Prepared {
  readonly mtimeMs: number;
  readonly html: string;
  readonly zipped: Buffer;
  readonly etag: string;
  readonly policy: string;
}

/** Answers with the page that every path of the Control UI begins with. */
export interface IndexPage {
  /** @throws Error with the file system's code when there is no page */
  send(request: IncomingMessage, response: ServerResponse): Promise<void>;
}

/** Keeps the page of `root` as it was last read; a page that was replaced is read again. */
export function indexPage(root: string): IndexPage {
  const file = join(root, "index.html");
  let last: Prepared | null = null;

  const prepared = async (): Promise<Prepared> => {
    const { mtimeMs } = await stat(file);
    if (last?.mtimeMs !== mtimeMs) last = await prepare(mtimeMs, await readFile(file, "utf8"));
    return last;
  };

  return {
    async send(request, response) {
      const page = await prepared();
      const { headers } = request;
      response.setHeader("Content-Security-Policy", page.policy);
      response.setHeader("Cache-Control", "no-cache");
      response.setHeader("ETag", page.etag);
      response.setHeader("Vary", "Accept-Encoding");
      if (headers["if-none-match"]?.includes(page.etag)) {
        response.writeHead(304).end();
        return;
      }
      response.setHeader("Content-Type", "text/html; charset=utf-8");
      const zip = /\bgzip\b/.test(headers["accept-encoding"]?.toString() ?? "");
      if (zip) response.setHeader("Content-Encoding", "gzip");
      const body = zip ? page.zipped : Buffer.from(page.html);
      response.writeHead(200, { "Content-Length": body.length }).end(body);
    },
  };
}

/**
 * The page as OpenClaw serves it: what it loads is named from the root, so that it also loads under a deep path, and it
 * is told that it is served at the root and that there is no terminal.
 */
async function prepare(mtimeMs: number, source: string): Promise<Prepared> {
  const html = source
    .replaceAll(/\b(src|href)="\.\//g, '$1="/')
    .replace(
      /<html\b/i,
      '<html data-openclaw-control-ui-base-path="" data-openclaw-terminal-enabled="false"',
    );
  return {
    mtimeMs,
    html,
    zipped: await promisify(gzip)(html),
    etag: `"${hash("sha256", html, "hex").slice(0, 32)}"`,
    policy: contentSecurityPolicy(inlineScriptHashes(html)),
  };
}
