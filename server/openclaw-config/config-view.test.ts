import { describe, expect, it } from "vitest";
import { configView } from "./config-view.ts";

const REDACTED = "__OPENCLAW_REDACTED__";
const viewOf = (document: Readonly<Record<string, unknown>>, known: readonly string[] = []) =>
  configView("/etc/pool/openclaw.json", document, known);

describe("what clients see of openclaw.json", () => {
  it("has no secret, whatever its shape, and everything else as written", () => {
    const { document } = viewOf({
      gateway: { port: 18789, auth: { mode: "token", token: "fake-1", password: "fake-2" } },
      models: {
        providers: {
          mock: {
            baseUrl: "https://user:fake-3@models.example/v1?api_key=fake-4&x=1",
            apiKey: { source: "file", id: "fake-5" },
            headers: { "X-Anything": "fake-6" },
            models: [{ id: "m", maxTokens: 4096, contextWindow: 200_000 }],
          },
        },
      },
      env: { NAME: "fake-7", vars: { OTHER: "fake-8" } },
      channels: { telegram: { botToken: "fake-9", accounts: [{ "private-key": ["fake-10"] }] } },
    });
    expect(JSON.stringify(document)).not.toContain("fake-");
    expect(document).toMatchObject({
      gateway: { port: 18789, auth: { mode: "token", token: REDACTED } },
      models: {
        providers: {
          mock: {
            baseUrl: `https://${REDACTED}@models.example/v1?api_key=${REDACTED}&x=1`,
            models: [{ id: "m", maxTokens: 4096, contextWindow: 200_000 }],
          },
        },
      },
    });
  });

  it("hides a secret that the pool uses wherever it is written", () => {
    const { document } = viewOf({ agents: { notes: "the key is fake-known-secret, keep it" } }, [
      "fake-known-secret",
      "main", // too short to be looked for
    ]);
    expect(document).toEqual({ agents: { notes: `the key is ${REDACTED}, keep it` } });
  });

  it("shows which variable a secret comes from", () => {
    const { document } = viewOf({ gateway: { auth: { token: "${GATEWAY_TOKEN}", password: "${A}b" } } });
    expect(document).toEqual({ gateway: { auth: { token: "${GATEWAY_TOKEN}", password: REDACTED } } });
  });

  it("has a hash of what is shown: it changes with the document and tells nothing of the secrets", () => {
    const { hash } = viewOf({ gateway: { auth: { token: "fake-a" }, port: 1 } });
    expect(viewOf({ gateway: { auth: { token: "fake-b" }, port: 1 } }).hash).toBe(hash);
    expect(viewOf({ gateway: { auth: { token: "fake-a" }, port: 2 } }).hash).not.toBe(hash);
  });

  it("names the file without its folder, or says that there is none", () => {
    expect(viewOf({})).toMatchObject({ path: "openclaw.json", exists: true });
    expect(configView(null, {}, [])).toMatchObject({ path: "openclaw.json", exists: false });
  });
});
