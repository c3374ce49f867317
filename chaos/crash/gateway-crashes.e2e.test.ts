import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { seededRandom } from "../../server/testing/seeded-random.ts";
import { until } from "../../server/testing/until.ts";
import { type CrashSite, crashSite } from "./crash-site.ts";
import { violationsOf } from "./expectations.ts";
import { holdSession } from "./hold-session.ts";

let site: CrashSite;

beforeAll(async () => {
  site = await crashSite({ gateways: 2, workers: 2 });
});
afterAll(() => site?.close());

beforeEach(async () => void (await site.deployment.ready()));

/** A session that exists, since only such a one can be held. */
async function begunSession(options: Parameters<CrashSite["traffic"]>[0]) {
  const traffic = await site.traffic(options);
  traffic.send();
  await traffic.ended();
  const [sessionKey] = traffic.sessions;
  return { traffic, sessionKey: String(sessionKey) };
}

describe("a gateway that is killed", () => {
  it("before the commit has promised nothing, and the client's retry is the first to be known", async () => {
    const { traffic } = await begunSession({ gateways: ["gateway-1", "gateway-2"] });
    await site.signal("gateway-1", "SIGSTOP");
    const sent = traffic.send();
    await until(() => sent.sentOrder !== null);
    await site.signal("gateway-1", "SIGKILL");
    await traffic.ended();
    expect(sent.acks.map(({ status }) => status)).toEqual(["started"]);
    expect(violationsOf(await traffic.record())).toEqual([]);
  });

  it("between the commit and the ack has made the run that the client's retry finds", async () => {
    const { traffic, sessionKey } = await begunSession({ gateways: ["gateway-1", "gateway-2"] });
    const held = await holdSession(site.database, sessionKey);
    const sent = traffic.send();
    await held.waits("gateway-1", "accept");
    await site.signal("gateway-1", "SIGSTOP");
    await held.letGo();
    await site.run(sent.key, () => true);
    expect(sent.acks).toEqual([]);
    await site.signal("gateway-1", "SIGKILL");
    await traffic.ended();
    expect(sent.acks.map(({ status }) => status)).not.toContain("started");
    expect(violationsOf(await traffic.record())).toEqual([]);
  });

  it("between the commit and the queue leaves a run that the sweep finds, also if its client never returns", async () => {
    const { traffic, sessionKey } = await begunSession({ gateways: ["gateway-1"] });
    const held = await holdSession(site.database, sessionKey);
    const sent = traffic.send();
    await held.waits("gateway-1", "accept");
    await site.signal("gateway-1", "SIGSTOP");
    await held.letGo();
    await site.run(sent.key, () => true);
    await traffic.clients[0]?.close();
    await site.signal("gateway-1", "SIGKILL");
    const run = await site.run(sent.key, ({ status }) => status !== "queued" && status !== "running");
    expect(run).toMatchObject({ status: "succeeded", attempt: 1 });
  });

  it("over and over during a stream of sends costs no message, no order and no event", async () => {
    const random = seededRandom(5);
    const traffic = await site.traffic({ clients: 4, sessions: 6 });
    const stream = traffic.stream({ everyMs: 100, directives: "chunks=4 delay=40" });
    for (let i = 0; i < 12; i++) {
      await site.signal(`gateway-${1 + (i % 2)}`, "SIGKILL");
      await sleep(random.float() * 700);
    }
    await stream.stop();
    await traffic.ended(90_000);
    expect(violationsOf(await traffic.record())).toEqual([]);
  });

  it("together with the other one costs nothing but the time until one is back", async () => {
    const traffic = await site.traffic({ clients: 2, sessions: 2 });
    const sent = [0, 1, 2, 3].map(() => traffic.send({ directives: "chunks=20 delay=100" }));
    await Promise.all(sent.map((message) => traffic.acknowledged(message)));
    await Promise.all(["gateway-1", "gateway-2"].map((id) => site.signal(id, "SIGKILL")));
    sent.push(traffic.send());
    await traffic.ended();
    expect(violationsOf(await traffic.record())).toEqual([]);
  });
});

describe("a gateway that is drained", () => {
  it("sends its clients away with shutdown and 1012, and they go on at the other one", async () => {
    const traffic = await site.traffic({ clients: 2, gateways: ["gateway-1", "gateway-2"] });
    const sent = [0, 1, 2].map(() => traffic.send({ directives: "chunks=20 delay=100" }));
    await Promise.all(sent.map((message) => traffic.acknowledged(message)));
    await site.signal("gateway-1", "SIGTERM");
    await traffic.ended();
    expect(traffic.clients[0]?.notes).toEqual(["shutdown", "closed 1012"]);
    expect(traffic.clients[1]?.notes).toEqual([]);
    expect(violationsOf(await traffic.record())).toEqual([]);
  });
});

describe("one session", () => {
  it("takes 200 messages from four connections over two gateways, one model call at a time and in order", async () => {
    const traffic = await site.traffic({ clients: 4 });
    for (let i = 0; i < 200; i++) {
      traffic.send({ directives: "chunks=3 delay=2" });
      if (i % 20 === 19) await sleep(10);
    }
    await traffic.ended(90_000);
    const record = await traffic.record();
    expect(record.runs).toHaveLength(200);
    expect(violationsOf(record)).toEqual([]);
  });
});
