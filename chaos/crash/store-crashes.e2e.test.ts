import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { until } from "../../server/testing/until.ts";
import { type CrashSite, crashSite, type Traffic } from "./crash-site.ts";
import { violationsOf } from "./expectations.ts";

/** Sessions of the tenant that run at once: the others wait in Redis, in the tenant's backlog. */
const LANE_WIDTH = 3;
/** Above what a row may hold itself: input and answer both go to the object store. */
const LARGE = "x".repeat(40_000);

let site: CrashSite;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "openclaw-ha-crash-"));
  const config = join(folder, "openclaw.json");
  await writeFile(config, JSON.stringify({ agents: { defaults: { maxConcurrent: LANE_WIDTH } } }));
  site = await crashSite({ gateways: 2, workers: 2, args: ["--openclaw-config", config] });
});
beforeEach(async () => void (await site.deployment.ready()));
afterAll(async () => {
  await site?.close();
  await rm(folder, { recursive: true, force: true });
});

/** Traffic with runs under way and as many sessions again that wait for their lane. */
async function crowd(): Promise<Traffic> {
  const traffic = await site.traffic({ clients: 3, sessions: 3 * LANE_WIDTH });
  const sent = Array.from({ length: 6 * LANE_WIDTH }, (_, i) =>
    traffic.send({ session: i % (3 * LANE_WIDTH), directives: "chunks=8 delay=60" }),
  );
  await Promise.all(sent.map((message) => traffic.acknowledged(message)));
  await until(() => traffic.clients.some(({ heard }) => heard.some(({ state }) => state === "delta")));
  return traffic;
}

const redis = async (): Promise<Redis> => {
  const client = new Redis(String((await site.deployment.env())["REDIS_URL"]), { lazyConnect: true });
  client.on("error", () => {});
  onTestFinished(() => client.disconnect());
  await client.connect();
  return client;
};

describe("Redis", () => {
  it("killed, and back without anything it knew, costs no run and no event", async () => {
    const traffic = await crowd();
    await site.deployment.kill("redis");
    traffic.send();
    await traffic.ended();
    expect(violationsOf(await traffic.record())).toEqual([]);
  });

  it("flushed again and again costs no run and no event", async () => {
    const server = await redis();
    const traffic = await crowd();
    for (let i = 0; i < 10; i++) {
      await server.flushall();
      traffic.send({ directives: "chunks=3 delay=30" });
      await sleep(150);
    }
    await traffic.ended();
    expect(violationsOf(await traffic.record())).toEqual([]);
  });

  it("silent for a while holds up no run: the ends come from Postgres", async () => {
    const traffic = await crowd();
    const pid = await site.deployment.kill("redis", "SIGSTOP");
    onTestFinished(() => wake(pid));
    traffic.send({ client: 0 });
    await traffic.ended();
    wake(pid);
    expect(violationsOf(await traffic.record())).toEqual([]);
  });

  it("away while a gateway commits and dies: the run is not forgotten when Redis is back empty", async () => {
    const traffic = await site.traffic({ gateways: ["gateway-1"], sessions: 2 });
    const pid = await site.deployment.kill("redis", "SIGSTOP");
    onTestFinished(() => wake(pid));
    const sent = traffic.send();
    await traffic.acknowledged(sent);
    await site.signal("gateway-1", "SIGKILL");
    await site.deployment.kill("redis");
    await traffic.ended();
    expect(violationsOf(await traffic.record())).toEqual([]);
  });
});

describe("PostgreSQL", () => {
  it("killed under load is started again, and every acknowledged run ends once", async () => {
    const traffic = await crowd();
    const stream = traffic.stream({ everyMs: 50, directives: "chunks=2 delay=20" });
    await site.deployment.kill("postgres");
    await sleep(1_000);
    await stream.stop();
    await traffic.ended();
    expect(violationsOf(await traffic.record())).toEqual([]);
  });

  it("killed together with the worker that had a run: another one ends it", async () => {
    const traffic = await site.traffic();
    const sent = traffic.send({ directives: "stall=2 times=1" });
    await site.modelAsked(sent);
    const holder = await site.holderOf(sent.key);
    await Promise.all([site.deployment.kill("postgres"), site.signal(holder, "SIGKILL")]);
    await traffic.ended();
    expect(violationsOf(await traffic.record())).toEqual([]);
  });
});

describe("the object store", () => {
  it("away when a large message has to be read: its run waits and is answered in whole", async () => {
    const traffic = await site.traffic();
    traffic.send({ directives: "latency=1000" });
    const sent = traffic.send({ words: LARGE });
    await traffic.acknowledged(sent);
    const back = await takeAway();
    await site.run(sent.key, ({ status }) => status === "running");
    await sleep(1_000);
    expect(await site.run(sent.key, () => true)).toMatchObject({ status: "running" });
    await back();
    await traffic.ended();
    expect((await bodiesOf(sent))[0]).toBe("object");
    expect(violationsOf(await traffic.record())).toEqual([]);
  });

  it("away when a large message comes: it stays in its row, is acknowledged and answered all the same", async () => {
    const traffic = await site.traffic();
    await takeAway();
    const sent = traffic.send({ words: LARGE });
    await traffic.ended();
    expect(await bodiesOf(sent)).toEqual(["row", "row"]);
    expect(violationsOf(await traffic.record())).toEqual([]);
  });

  /** Where the rows of a run have their bodies. */
  async function bodiesOf({ key }: { readonly key: string }): Promise<string[]> {
    const { rows } = await site.database.query<{ place: string }>(
      `SELECT CASE WHEN object_sha256 IS NULL THEN 'row' ELSE 'object' END AS place
       FROM openclaw_ha.messages WHERE run_id = $1 ORDER BY seq`,
      [key],
    );
    return rows.map(({ place }) => place);
  }

  /** Neither readable nor writable, also for root: its folder is gone, and a file lies in the way of making another. */
  async function takeAway(): Promise<() => Promise<void>> {
    const objects = join(site.deployment.dataDir, "objects");
    let away = true;
    const back = async (): Promise<void> => {
      if (!away) return;
      away = false;
      await rm(objects);
      await rename(`${objects}.away`, objects);
    };
    await rename(objects, `${objects}.away`);
    await writeFile(objects, "");
    onTestFinished(back);
    return back;
  }
});

/** Lets a stopped process go on, if it is still there. */
function wake(pid: number): void {
  try {
    process.kill(pid, "SIGCONT");
  } catch {
    // It was killed meanwhile.
  }
}
