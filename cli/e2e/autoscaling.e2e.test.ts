import { beforeAll, describe, expect, it } from "vitest";
import { startDeployment, type TestDeployment } from "../../server/testing/deployment.ts";
import { until } from "../../server/testing/until.ts";
import { type People, talkingPeople } from "../testing/people.ts";

/** Few slots, so that a load which this machine can bear fills several workers. */
const SLOTS = 4;
const BASELINE = 2;
/** Of one message, most of it the model's. */
const ANSWER_MS = 1_500;

let deployment: TestDeployment;
beforeAll(async () => {
  deployment = await startDeployment({
    gateways: 1,
    workers: 1,
    env: { OPENCLAW_HA_SLOTS: String(SLOTS), OPENCLAW_HA_LOG_LEVEL: "debug" },
  });
  return () => deployment.close();
});

const people = (name: string, count: number, gateway?: string): People =>
  talkingPeople(deployment, {
    name,
    count,
    directive: `latency=${ANSWER_MS}`,
    ...(gateway ? { gateway } : {}),
  });

const scaling = async () => (await deployment.status()).scaling!;
/** Waits for a number of ready workers that is also the one wanted. */
const workers = (is: (count: number) => boolean, what: string) =>
  until(
    async () => {
      const { current, desired } = (await scaling()).pools.worker;
      return current === desired && is(current);
    },
    { what, timeoutMs: 60_000, pollMs: 250 },
  );

describe("sizes that follow the load", () => {
  it("ten times the load brings more workers, its end takes them away again, and nobody notices", async () => {
    const asked = await deployment.cli(
      ["scale", "--auto", "on", "--min", "worker=1,gateway=1", "--max", "worker=4,gateway=1"].concat(
        ["--grow-after", "1s", "--cooldown", "2s", "--shrink-after", "8s"],
        "--json",
      ),
    );
    expect(asked).toMatchObject({ exitCode: 0 });
    const always = people("always", BASELINE);
    await workers((count) => count === 1, "one worker under the usual load");
    const burst = people("burst", 9 * BASELINE);
    await workers((count) => count >= 3, "more workers under ten times the load");
    const during = await burst.stop();
    await workers((count) => count === 1, "one worker after the burst");
    const all = await always.stop();

    expect([...during.failures, ...all.failures]).toEqual([]);
    expect(during.answered).toBeGreaterThan(9 * BASELINE);
    const { auto, decisions, pools } = await scaling();
    expect(auto).toBe(true);
    expect(pools.worker).toMatchObject({ current: 1, desired: 1, min: 1, max: 4 });
    // Up and then down, not back and forth.
    const steps = decisions.toReversed().map(({ from, to }) => Math.sign(to - from));
    expect(steps.toSorted((a, b) => b - a)).toEqual(steps);
    expect(decisions[0]).toMatchObject({
      pool: "worker",
      by: expect.stringMatching(/^control-1\./),
      reason: expect.stringContaining("no more was needed for 8 s"),
    });
    expect(decisions.at(-1)?.reason).toMatch(/sessions running|waiting/);
    const { stdout } = await deployment.cli(["status"]);
    expect(stdout).toMatch(/worker\s+1\s+1\s+auto, 1 to 4/);
    expect(stdout).toContain("no more was needed for 8 s");
  });

  it("a gateway and a worker that are taken away by hand lose nobody's message", async () => {
    const grown = await deployment.cli(["scale", "gateway=2", "worker=2", "--auto", "off", "--json"]);
    expect(grown.json()).toMatchObject({
      applied: true,
      scaling: { auto: false, pools: { gateway: { current: 2, desired: 2 }, worker: { current: 2 } } },
    });
    const { instances } = await deployment.status();
    const talking = people("moved", 4, instances.find(({ id }) => id === "gateway-2")?.url ?? undefined);
    await until(async () => (await deployment.status()).queue.running > 0, { what: "messages under way" });
    const shrunk = await deployment.cli(["scale", "gateway=1", "worker=1"]);
    expect(shrunk).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(/gateway: 2 → 1\nworker: 2 → 1/),
    });
    const { answered, failures } = await talking.stop();
    expect(failures).toEqual([]);
    expect(answered).toBeGreaterThan(0);
    // And they stay away.
    const again = await deployment.cli(["up", "--json"]);
    expect(again.json()).toMatchObject({
      scaling: { pools: { gateway: { desired: 1 }, worker: { desired: 1 } } },
    });
  });

  it("says what it would do with --plan, and does nothing then", async () => {
    const plan = await deployment.cli(["scale", "worker=3", "--max", "worker=9", "--plan", "--json"]);
    expect(plan.json()).toMatchObject({
      applied: false,
      changes: [
        { what: "worker", from: 1, to: 3 },
        { what: "worker.max", from: 4, to: 9 },
      ],
    });
    expect((await scaling()).pools.worker).toMatchObject({ current: 1, desired: 1, max: 4 });
    const unsaid = await deployment.cli(["scale"]);
    expect(unsaid).toMatchObject({ exitCode: 0, stdout: expect.stringContaining("nothing changes") });
  });

  it("drain takes one instance away until scale brings it back", async () => {
    const talking = people("drained", 2);
    await deployment.cli(["scale", "worker=2"]);
    const drained = await deployment.cli(["drain", "worker-1", "--json"]);
    expect(drained.json()).toEqual({
      instance: "worker-1",
      state: "stopped",
      tookMs: expect.any(Number) as number,
    });
    const away = await deployment.status();
    expect(away.phase).toBe("ready");
    expect(away.instances.find(({ id }) => id === "worker-1")).toMatchObject({ state: "stopped", pid: null });
    await deployment.cli(["scale", "worker=2"]);
    expect((await scaling()).pools.worker).toMatchObject({ current: 2, desired: 2 });
    expect((await talking.stop()).failures).toEqual([]);
  });

  it.each([
    [["scale", "worker=many"], 2, "REQUEST_INVALID"],
    [["scale", "control=3"], 2, "REQUEST_INVALID"],
    [["scale", "worker=9", "--auto", "on"], 2, "REQUEST_INVALID"],
    [["scale", "--min", "worker=5"], 2, "REQUEST_INVALID"],
    [["drain", "postgres"], 1, "NOT_FOUND"],
  ])("%j exits %i", async (args, exitCode, code) => {
    const run = await deployment.cli([...args, "--json"]);
    expect(run).toMatchObject({ exitCode });
    expect(run.json()).toMatchObject({ error: { code } });
  });
});
