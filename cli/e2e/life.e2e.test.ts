import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import {
  type DeploymentOptions,
  pidsOf,
  startDeployment,
  type TestDeployment,
} from "../../server/testing/deployment.ts";
import { endAllUnder } from "../../server/testing/processes-under.ts";

const SMALL: DeploymentOptions = { gateways: 1, workers: 1 };

/** A deployment that is closed after the test, which also fails when something of it is left behind. */
async function started(options: DeploymentOptions = SMALL): Promise<TestDeployment> {
  const deployment = await startDeployment(options);
  onTestFinished(() => deployment.close());
  return deployment;
}

describe("a deployment", () => {
  it("whose supervisor was killed is taken over by up as it runs, and ended by down as a whole", async () => {
    const deployment = await started();
    const { supervisor: first, ...before } = pidsOf(await deployment.status());
    await deployment.kill("supervisor");
    const unwatched = await deployment.status();
    expect(unwatched).toMatchObject({ supervisor: { pid: null }, stores: { postgres: { healthy: true } } });
    expect(unwatched.queue).toEqual({ ready: 0, running: 0, oldestReadyMs: 0 });
    expect((await deployment.cli(["send", "still here"])).stdout).toContain("You said: still here");
    const { supervisor: second, ...after } = pidsOf(await deployment.up());
    expect(after).toEqual(before);
    expect(second).not.toBe(first);
    await deployment.kill("supervisor");
    expect(await deployment.cli(["down"])).toMatchObject({ exitCode: 0 });
    expect(deployment.processes()).toEqual([]);
  });

  it("is changed from a shell that has not the variables of the first one, which it keeps", async () => {
    const deployment = await started({ ...SMALL, up: false });
    const file = join(deployment.folder, "openclaw.json");
    await writeFile(file, '{ gateway: { auth: { token: "${SOME_TOKEN}" } } }');
    const up = ["up", "--port", "0", "--gateways", "1", "--openclaw-config", file];
    const first = await deployment.cli([...up, "--workers", "1"], {
      env: { SOME_TOKEN: "first-token-1234" },
    });
    expect(first).toMatchObject({ exitCode: 0 });
    expect(await deployment.cli(["up", "--workers", "2"])).toMatchObject({ exitCode: 0 });
    expect(await deployment.env()).toMatchObject({ OPENCLAW_GATEWAY_TOKEN: "first-token-1234" });
    const changed = await deployment.cli(["up"], { env: { SOME_TOKEN: "other-token-1234" } });
    expect(changed).toMatchObject({ exitCode: 0 });
    expect(await deployment.env()).toMatchObject({ OPENCLAW_GATEWAY_TOKEN: "other-token-1234" });
    expect((await deployment.cli(["send", "hello"])).stdout).toContain("You said: hello");
  });

  it("of which every process was killed at once comes back with its addresses and its sessions", async () => {
    const deployment = await started();
    await deployment.cli(["send", "remember me", "--idempotency-key", "before"]);
    const before = await deployment.status();
    await endAllUnder(deployment.folder);
    expect(deployment.processes()).toEqual([]);
    expect(await deployment.status()).toMatchObject({ supervisor: { pid: null } });
    const after = await deployment.up();
    expect(after.phase).toBe("ready");
    expect(after.instances.map(({ id, url }) => [id, url])).toEqual(
      before.instances.map(({ id, url }) => [id, url]),
    );
    const again = await deployment.cli(["send", "remember me", "--idempotency-key", "before", "--json"]);
    expect(again.lines().at(-1)).toMatchObject({
      status: "ok",
      text: expect.stringContaining("remember me") as unknown,
    });
    const { transcript } = (await deployment.cli(["sessions", "show", "main", "--json"])).json() as {
      transcript: unknown[];
    };
    expect(transcript).toHaveLength(2);
  });

  it("that is down says so in every command, keeps its addresses, and starts again as it was", async () => {
    const deployment = await started();
    const before = await deployment.status();
    const variables = await deployment.env();
    for (const stopped of [true, false]) {
      const down = await deployment.cli(["down", "--json"]);
      expect(down).toMatchObject({ exitCode: 0 });
      expect(down.json()).toMatchObject({ phase: "stopped", stopped, purged: false });
    }
    expect(await deployment.status()).toMatchObject({ phase: "stopped", supervisor: { pid: null } });
    const env = await deployment.cli(["env", "--json"]);
    expect(env.json()).toEqual(variables);
    expect(env.stderr).toContain("does not answer");
    for (const argv of [
      ["send", "hello"],
      ["runs", "list"],
      ["sessions", "list"],
    ]) {
      const refused = await deployment.cli([...argv, "--json"]);
      expect({ argv, exitCode: refused.exitCode }).toEqual({ argv, exitCode: 69 });
      expect(refused.lines().at(-1)).toMatchObject({ error: { code: expect.any(String) as unknown } });
    }
    expect((await deployment.cli(["doctor", "--json"])).exitCode).toBe(1);
    const { gateway, instances } = (await deployment.cli(["up", "--json"])).json() as typeof before;
    expect(gateway).toEqual(before.gateway);
    expect(instances.map(({ id, url }) => [id, url])).toEqual(
      before.instances.map(({ id, url }) => [id, url]),
    );
  });

  it("lives beside another one of the same user, and neither notices the other's end", async () => {
    const one = await started({ ...SMALL, up: false });
    const state = join(one.folder, "state");
    await mkdir(state);
    const named = (name: string, ...args: string[]) =>
      one.cli(["--name", name, ...args], { env: { XDG_STATE_HOME: state }, noDataDir: true });
    onTestFinished(async () => {
      for (const name of ["blue", "green"]) await named(name, "down", "--purge", "--yes");
    });
    const up = ["up", "v2", "--port", "0", "--gateways", "1", "--workers", "1", "--json"];
    const ups = await Promise.all([named("blue", ...up), named("green", ...up)]);
    expect(ups.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
    const [blue, green] = ups.map(({ json }) => json() as { name: string; gateway: { url: string } });
    expect([blue?.name, green?.name]).toEqual(["blue", "green"]);
    expect(blue?.gateway.url).not.toBe(green?.gateway.url);
    await named("blue", "send", "to blue");
    expect((await named("green", "runs", "list", "--json")).json()).toEqual([]);
    await named("blue", "down", "--purge", "--yes");
    expect(existsSync(join(state, "openclaw-ha", "blue"))).toBe(false);
    expect((await named("green", "send", "to green")).stdout).toContain("You said: to green");
    await named("green", "down", "--purge", "--yes");
    expect(one.processes()).toEqual([]);
  });

  it("whose start failed half-way is ended by down, exit code 0, and leaves nothing", async () => {
    const deployment = await startDeployment({ ...SMALL, up: false });
    onTestFinished(() => deployment.close());
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void taken.close());
    const { port } = taken.address() as AddressInfo;
    const up = await deployment.cli(["up", "--port", String(port), "--json"]);
    expect(up).toMatchObject({ exitCode: 78 });
    expect(up.json()).toMatchObject({
      error: {
        code: "CONFIG_INVALID",
        message: expect.stringContaining(`port ${port}`) as unknown,
        hint: expect.stringContaining("--port") as unknown,
      },
    });
    expect((await deployment.cli(["down"])).exitCode).toBe(0);
    expect(deployment.processes()).toEqual([]);
    expect((await deployment.cli(["down", "--purge", "--yes"])).exitCode).toBe(0);
    expect(existsSync(deployment.dataDir)).toBe(false);
  });

  it("whose up is interrupted goes on starting; the next up waits for it", async () => {
    const deployment = await started({ ...SMALL, up: false });
    const up = ["up", "v2", "--port", "0", "--gateways", "1", "--workers", "1"];
    const interrupted = new AbortController();
    const first = deployment.cli(up, { signal: interrupted.signal });
    setTimeout(() => interrupted.abort(), 1_000);
    expect((await first).exitCode).not.toBe(0);
    const second = await deployment.cli([...up, "--json"]);
    expect(second).toMatchObject({ exitCode: 0 });
    expect(second.json()).toMatchObject({ phase: "ready" });
  });
});
