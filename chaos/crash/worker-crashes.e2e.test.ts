import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { processIdentity } from "../../server/adapters/local/process-table.ts";
import { seededRandom } from "../../server/testing/seeded-random.ts";
import { until } from "../../server/testing/until.ts";
import { type CrashSite, crashSite } from "./crash-site.ts";
import { everySendIsAcknowledged, violationsOf } from "./expectations.ts";
import { holdSession } from "./hold-session.ts";
import type { RunState } from "./read-stores.ts";
import { isEnd } from "./record.ts";

/** The first call of the model never ends, a second one does at once: only a takeover brings the answer. */
const STUCK_ONCE = "chunks=6 stall=3 times=1";
const WORKERS = ["worker-1", "worker-2"];

let site: CrashSite;

beforeAll(async () => {
  site = await crashSite({ gateways: 2, workers: 2 });
});
beforeEach(async () => void (await site.deployment.ready()));
afterAll(() => site?.close());

/** Stops a process; the answer lets it go on. */
function stopped(pid: number): () => void {
  let isStopped = true;
  const goOn = (): void => {
    if (isStopped) process.kill(pid, "SIGCONT");
    isStopped = false;
  };
  process.kill(pid, "SIGSTOP");
  onTestFinished(goOn);
  return goOn;
}

const hasEnded = ({ status }: Pick<RunState, "status">): boolean =>
  status !== "queued" && status !== "running";

describe("a worker that is killed", () => {
  it("between the claim and the first step is taken over", async () => {
    const traffic = await site.traffic();
    const sent = traffic.send({ directives: "latency=300" });
    const holder = await site.holderOf(sent.key);
    await site.signal(holder, "SIGKILL");
    await traffic.ended();
    const record = await traffic.record();
    expect(record.runs).toMatchObject([{ status: "succeeded", attempt: 2, failures: 1 }]);
    expect(violationsOf(record)).toEqual([]);
  });

  it("in the middle of an answer is taken over, and the whole answer replaces what was heard", async () => {
    const traffic = await site.traffic({ clients: 2 });
    const sent = [traffic.send({ directives: STUCK_ONCE }), traffic.send()];
    const client = traffic.clients[0];
    await until(() => client?.heard.some(({ state }) => state === "delta"));
    await site.signal(await site.holderOf(String(sent[0]?.key)), "SIGKILL");
    await traffic.ended();
    const record = await traffic.record();
    expect(
      client?.heard.filter(({ runSeq, state }) => state === "delta" && runSeq > 2 ** 20)[0]?.replace,
    ).toBe(true);
    expect(violationsOf(record)).toEqual([]);
  });

  it("between the commit of the result and its last event has ended the run, and the session goes on", async () => {
    const traffic = await site.traffic();
    const first = traffic.send({ directives: "latency=500" });
    const second = traffic.send();
    const holder = await site.holderOf(first.key);
    const held = await holdSession(site.database, String(traffic.sessions[0]));
    await held.waits(holder, "finish");
    await site.signal(holder, "SIGSTOP");
    await held.letGo();
    expect(await site.run(first.key, hasEnded)).toMatchObject({ status: "succeeded", attempt: 1 });
    expect(traffic.clients[0]?.heard.filter(isEnd)).toEqual([]);
    await site.signal(holder, "SIGKILL");
    await traffic.ended();
    // The second run was granted with that commit, and its holder died with it.
    expect(await site.run(second.key, hasEnded)).toMatchObject({ status: "succeeded", attempt: 2 });
    expect(violationsOf(await traffic.record())).toEqual([]);
  });

  it("with its result still on the way has it refused, once another has the run", async () => {
    const traffic = await site.traffic();
    const sent = traffic.send({ directives: "latency=1500" });
    const holder = await site.holderOf(sent.key);
    await site.modelAsked(sent);
    const held = await holdSession(site.database, String(traffic.sessions[0]));
    const late = await held.waits(holder, "finish");
    const goOn = stopped(late);
    await site.signal(holder, "SIGKILL");
    await held.letGo();
    await site.modelAsked(sent, 2);
    const { rows } = await traffic.record();
    goOn();
    await until(() => processIdentity(late) === null, { what: "the end of the late statement's connection" });
    // Only the token stood between that result and the run: session, run and lease row are the same.
    expect(await site.run(sent.key, () => true)).toMatchObject({ status: "running", attempt: 2 });
    expect((await traffic.record()).rows).toEqual(rows);
    await traffic.ended();
    expect(violationsOf(await traffic.record())).toEqual([]);
  });

  it("over and over while short runs end costs no run, no order and no event", async () => {
    const random = seededRandom(7);
    const traffic = await site.traffic({ clients: 2, sessions: 8 });
    const stream = traffic.stream({ everyMs: 40, directives: "chunks=2 delay=10" });
    for (let i = 0; i < 8; i++) {
      await site.signal(WORKERS[i % 2] as string, "SIGKILL");
      await sleep(random.float() * 400);
      // The same run must not meet three kills in a row: it would rightly be given up.
      await until(
        async () => (await traffic.record()).runs.every((run) => hasEnded(run) || run.failures === 0),
        {
          timeoutMs: 30_000,
        },
      );
    }
    await stream.stop();
    await traffic.ended();
    expect(violationsOf(await traffic.record())).toEqual([]);
  });

  it("together with all others costs the time until they are back", async () => {
    const traffic = await site.traffic({ clients: 2, sessions: 4 });
    const sent = [0, 1, 2, 3, 4, 5].map(() => traffic.send({ directives: "chunks=10 delay=100" }));
    await Promise.all(sent.map((message) => traffic.acknowledged(message)));
    await site.modelAsked(sent[0] as (typeof sent)[0]);
    await Promise.all(WORKERS.map((worker) => site.signal(worker, "SIGKILL")));
    await traffic.ended();
    expect(violationsOf(await traffic.record())).toEqual([]);
  });

  it("by the same run three times in a row buries it, tells so once, and it can be redriven and cancelled", async () => {
    const traffic = await site.traffic();
    const poison = traffic.send({ directives: "hang times=3" });
    const behind = traffic.send();
    for (let attempt = 1; attempt <= 3; attempt++) {
      await site.run(poison.key, (run) => run.attempt === attempt && run.status === "running", 60_000);
      await site.modelAsked(poison, attempt);
      await site.signal(await site.holderOf(poison.key), "SIGKILL");
    }
    await traffic.ended();
    const record = await traffic.record();
    const [buried, next] = [poison.key, behind.key].map((key) =>
      record.runs.find(({ runId }) => runId === key),
    );
    expect(buried).toMatchObject({ status: "dead", attempt: 3, failures: 3 });
    expect(next).toMatchObject({ status: "succeeded", attempt: 1 });
    expect(record.heard.filter((event) => event.runId === poison.key && isEnd(event))).toMatchObject([
      { state: "error" },
    ]);
    expect(violationsOf(record, [everySendIsAcknowledged])).toEqual([]);

    const commands = site.deployment;
    expect((await commands.cli(["runs", "redrive", poison.key, "--json"])).exitCode).toBe(0);
    await site.run(poison.key, ({ attempt, status }) => attempt === 4 && status === "running");
    expect((await commands.cli(["runs", "cancel", poison.key, "--json"])).exitCode).toBe(0);
    expect(await site.run(poison.key, hasEnded)).toMatchObject({ status: "aborted", failures: 0 });
  });
});

describe("a worker that is stopped past its lease", () => {
  it("finds that another has ended its run when it wakes up, and changes nothing any more", async () => {
    const traffic = await site.traffic({ sessions: 2 });
    const paused = traffic.send({ directives: STUCK_ONCE });
    const client = traffic.clients[0];
    await until(() => client?.heard.some(({ state }) => state === "delta"));
    const holder = await site.holderOf(paused.key);
    await site.signal(holder, "SIGSTOP");
    await traffic.ended();
    const before = await traffic.record();
    expect(before.runs).toMatchObject([{ status: "succeeded", attempt: 2 }]);
    const lives = await livesOf(holder);
    await site.signal(holder, "SIGCONT");
    await until(async () => (await livesOf(holder)) > lives, {
      what: `a new life of ${holder}`,
      timeoutMs: 30_000,
    });
    const after = await traffic.record();
    expect({ runs: after.runs, rows: after.rows, heard: after.heard }).toEqual({
      runs: before.runs,
      rows: before.rows,
      heard: before.heard,
    });
    expect(violationsOf(after)).toEqual([]);
  });

  /** Worker ids that this instance has had. */
  async function livesOf(instance: string): Promise<number> {
    const { rows } = await site.database.query<{ n: number }>(
      "SELECT count(*)::int AS n FROM openclaw_ha.workers WHERE instance = $1",
      [instance],
    );
    return Number(rows[0]?.n);
  }
});

describe("a worker that is drained", () => {
  it("hands over the run that outlasts its grace, and nobody counts a failure", async () => {
    const traffic = await site.traffic();
    const sent = traffic.send({ directives: STUCK_ONCE });
    await site.modelAsked(sent);
    await site.signal(await site.holderOf(sent.key), "SIGTERM");
    await traffic.ended();
    const record = await traffic.record();
    expect(record.runs).toMatchObject([{ status: "succeeded", attempt: 2, failures: 0 }]);
    expect(violationsOf(record)).toEqual([]);
  });
});

describe("whoever repairs", () => {
  it("control killed together with a worker: the run goes on all the same", async () => {
    const traffic = await site.traffic();
    const sent = traffic.send({ directives: STUCK_ONCE });
    await site.modelAsked(sent);
    const holder = await site.holderOf(sent.key);
    await Promise.all([site.signal("control-1", "SIGKILL"), site.signal(holder, "SIGKILL")]);
    await traffic.ended();
    expect(violationsOf(await traffic.record())).toEqual([]);
  });

  it("supervisor, control and a worker killed: the other worker takes over, and the next `up` brings all back", async () => {
    const traffic = await site.traffic();
    await site.deployment.kill("supervisor");
    await site.signal("control-1", "SIGKILL");
    const sent = traffic.send({ directives: STUCK_ONCE });
    await site.modelAsked(sent);
    const holder = await site.holderOf(sent.key);
    await site.signal(holder, "SIGKILL");
    await traffic.ended();
    const record = await traffic.record();
    expect(record.runs).toMatchObject([{ status: "succeeded", attempt: 2 }]);
    expect(violationsOf(record)).toEqual([]);
    const { instances } = await site.deployment.up();
    expect(instances.map(({ state }) => state)).toEqual(instances.map(() => "ready"));
  });
});
