import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { makeBuild } from "../../chaos/bugs/build.ts";
import type { Edit } from "../../chaos/bugs/planted-bug.ts";
import { startDeployment, type TestDeployment } from "../../server/testing/deployment.ts";
import { until } from "../../server/testing/until.ts";
import { talkingPeople } from "../testing/people.ts";

const CHECKOUT = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
const VERSION: Edit = { file: "package.json", find: '"version": "0.1.0"', replace: '"version": "9.0.0"' };
/** A release whose workers end as soon as they begin. */
const BROKEN: Edit = {
  file: "cli/commands/serve.ts",
  find: "  const config = readInstanceConfig(role, env);",
  replace: '  if (role === "worker") process.exit(1);\n  const config = readInstanceConfig(role, env);',
};

let deployment: TestDeployment;
let next: string;
beforeAll(async () => {
  deployment = await startDeployment({ gateways: 2, workers: 2 });
  next = await release("next", [VERSION]);
  return () => deployment.close();
});

async function release(name: string, edits: readonly Edit[]): Promise<string> {
  return (await makeBuild(CHECKOUT, join(deployment.folder, name), edits)).root;
}

/** Which process runs each instance. */
async function pids(): Promise<Map<string, number | null>> {
  const { instances } = await deployment.status();
  return new Map(instances.map(({ id, pid }) => [id, pid]));
}

describe("upgrade", () => {
  it("brings every instance to the next release while people talk, and nobody notices", async () => {
    const plan = await deployment.cli(["upgrade", "--to", next, "--plan", "--json"]);
    expect(plan.json()).toMatchObject({
      upgraded: false,
      from: { version: "0.1.0" },
      to: { version: "9.0.0" },
    });
    const before = await pids();
    // Answers that take 1.5 s and come in pieces, so that there is always one under way on each instance.
    const talking = talkingPeople(deployment, {
      name: "upgraded",
      count: 12,
      directive: "chunks=15 delay=100",
    });
    await until(async () => (await deployment.status()).queue.running > 4, { what: "messages under way" });
    const upgraded = await deployment.cli(["upgrade", "--to", next, "--json"]);
    const { answered, failures } = await talking.stop();
    expect(upgraded).toMatchObject({ exitCode: 0 });
    expect(upgraded.json()).toMatchObject({ upgraded: true, to: { root: next, version: "9.0.0" } });
    expect(failures).toEqual([]);
    const view = await deployment.status();
    expect(view).toMatchObject({ phase: "ready", program: { root: next, version: "9.0.0" } });
    expect(view.instances.every(({ restarts, state }) => restarts === 0 && state === "ready")).toBe(true);
    for (const [id, pid] of await pids()) expect([id, pid]).not.toEqual([id, before.get(id)]);
    const runs = (await deployment.cli(["runs", "list", "--limit", "all", "--json"])).json();
    const ended = (runs as { status: string; runId: string }[]).filter(({ runId }) =>
      runId.startsWith("upgraded-"),
    );
    expect(ended).toHaveLength(answered);
    expect(ended.filter(({ status }) => status !== "succeeded")).toEqual([]);
  });

  it("sends everybody back when an instance does not get ready", async () => {
    const broken = await release("broken", [BROKEN]);
    const talking = talkingPeople(deployment, {
      name: "restored",
      count: 4,
      directive: "chunks=10 delay=100",
    });
    const failed = await deployment.cli(["upgrade", "--to", broken, "--json"]);
    const { failures } = await talking.stop();
    expect(failed.exitCode).not.toBe(0);
    expect(failed.json()).toMatchObject({
      error: {
        message: expect.stringMatching(/^the upgrade to .*broken\) is undone: worker-1 did not/) as string,
      },
    });
    expect(failures).toEqual([]);
    const view = await deployment.ready();
    expect(view).toMatchObject({
      program: { root: next, version: "9.0.0" },
      failure: { code: expect.any(String) },
    });
    expect(view.upgrade).toBeUndefined();
  });

  it("is ended by the next up when its supervisor is killed in the middle", async () => {
    const stopped = new AbortController();
    const cut = deployment.cli(["upgrade", "--to", CHECKOUT], { signal: stopped.signal });
    const before = await pids();
    await until(async () => (await pids()).get("gateway-1") !== before.get("gateway-1"), {
      what: "the first gateway on another release",
      timeoutMs: 60_000,
    });
    await deployment.kill("supervisor");
    stopped.abort();
    await cut;
    expect((await deployment.status()).upgrade).toMatchObject({ from: "9.0.0" });
    const view = await deployment.up();
    expect(view).toMatchObject({ phase: "ready", program: { root: CHECKOUT, version: "0.1.0" } });
    expect(view.upgrade).toBeUndefined();
    for (const [id, pid] of await pids()) expect([id, pid]).not.toEqual([id, before.get(id)]);
  });

  it("refuses what is no release", async () => {
    const refused = await deployment.cli(["upgrade", "--to", deployment.folder, "--json"]);
    expect(refused).toMatchObject({ exitCode: 78 });
    expect(refused.json()).toMatchObject({ error: { code: "CONFIG_INVALID" } });
  });
});
