import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { PROFILES } from "../../loadtest/profiles.ts";
import { runCli } from "../testing/run-cli.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "loadtest-cli-"));
  // A k6 that is found, and would fail if anything came as far as starting it.
  await writeFile(path.join(folder, "k6"), "#!/bin/sh\nexit 99\n", { mode: 0o700 });
  return () => rm(folder, { recursive: true, force: true });
});

const env = () => ({ PATH: folder, HOME: folder, OPENCLAW_HA_DATA_DIR: path.join(folder, "nothing") });
const loadtest = (...args: string[]) => runCli(["loadtest", ...args, "--json"], { env: env(), cwd: folder });

interface Refusal {
  readonly error: { readonly code: string; readonly message: string; readonly hint?: string };
}

describe("loadtest", () => {
  it("lists its profiles, each with what it shows", async () => {
    const { stdout, exitCode } = await runCli(["loadtest", "--help"]);
    expect(exitCode).toBe(0);
    for (const { name, claim } of PROFILES)
      expect(stdout).toMatch(new RegExp(`${name} +${claim.slice(0, 20)}`));
  });

  it("answers an unknown profile with exit code 2, the list and the nearest name", async () => {
    const result = await loadtest("reconect-storm");
    expect(result.exitCode).toBe(2);
    const { error } = result.json() as Refusal;
    expect(error.hint).toMatch(/did you mean reconnect-storm\?/);
    for (const { name } of PROFILES) expect(error.hint).toContain(name);
  });

  it.each([
    ["--duration", "2s"],
    ["--duration", "soon"],
    ["--rate", "0"],
    ["--rate", "many"],
    ["--vus", "0"],
  ])("refuses %s %s with exit code 2", async (...flag) => {
    expect((await loadtest("smoke", ...flag)).exitCode).toBe(2);
  });

  it("refuses where no deployment was ever started, with exit code 69", async () => {
    const result = await loadtest("smoke");
    expect(result.exitCode).toBe(69);
    expect(result.json()).toMatchObject({ error: { code: "NOT_RUNNING" } });
  });

  it("refuses a baseline that is none, before anything else runs", async () => {
    await writeFile(path.join(folder, "other.json"), '{"verdict":"pass"}');
    for (const [file, why] of [
      ["missing.json", /cannot be read: ENOENT/],
      ["other.json", /is no result of a load test/],
    ] as const) {
      const result = await loadtest("smoke", "--baseline", file);
      expect(result.exitCode).toBe(2);
      expect((result.json() as Refusal).error.message).toMatch(why);
    }
  });

  describe("of a gateway elsewhere", () => {
    const elsewhere = (...args: string[]) => loadtest("smoke", "--url", "ws://127.0.0.1:9", ...args);

    it("needs its token", async () => {
      const result = await elsewhere();
      expect(result.exitCode).toBe(78);
      expect(result.json()).toMatchObject({ error: { code: "UNAUTHORIZED" } });
    });

    it("needs a gateway that is ready", async () => {
      await writeFile(path.join(folder, "token"), "# of default\nhush\n");
      const result = await elsewhere("--token-file", "token");
      expect(result.exitCode).toBe(69);
      expect((result.json() as Refusal).error.message).toMatch(/is not ready: nobody answers/);
      expect(result.stdout + result.stderr).not.toContain("hush");
    });

    it("that says it is not ready is left alone", async () => {
      const server = createServer((_request, response) => response.writeHead(503).end()).listen(
        0,
        "127.0.0.1",
      );
      await once(server, "listening");
      const { port } = server.address() as AddressInfo;
      const result = await loadtest("smoke", "--url", `ws://127.0.0.1:${port}`, "--token-file", "token");
      server.close();
      expect(result.exitCode).toBe(69);
      expect((result.json() as Refusal).error.message).toMatch(/is not ready: \/readyz answers 503/);
    });

    it("needs as many tokens as the profile has tenants", async () => {
      await writeFile(path.join(folder, "token"), "hush\n");
      const result = await loadtest("many-tenants", "--url", "ws://127.0.0.1:9", "--token-file", "token");
      expect(result.exitCode).toBe(2);
      expect((result.json() as Refusal).error.message).toContain("9 tenants, not 1");
    });

    it.each(["http://x", "ws://user:secret@x", "nonsense"])("refuses --url %s", async (url) => {
      expect((await loadtest("smoke", "--url", url)).exitCode).toBe(2);
    });
  });

  it("takes no --token-file for a deployment of this machine", async () => {
    expect((await loadtest("smoke", "--token-file", "token")).exitCode).toBe(2);
  });
});
