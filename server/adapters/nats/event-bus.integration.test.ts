import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { tenantId } from "../../core/ids.ts";
import { eventBusContract } from "../../ports/contract/event-bus.contract.ts";
import { follow, type Writer, writer } from "../../ports/contract/event-follower.ts";
import type { EventBus } from "../../ports/event-bus.ts";
import { recordingLogger } from "../../testing/recording-logger.ts";
import { seededRandom } from "../../testing/seeded-random.ts";
import { startTestNats, testPrograms, type TestStore } from "../../testing/services.ts";
import { startTcpProxy } from "../../testing/tcp-proxy.ts";
import { until } from "../../testing/until.ts";
import { freePort } from "../local/free-port.ts";
import type { LocalStore } from "../local/local-store.ts";
import { startNatsServer } from "../local/nats-server.ts";
import { systemClock } from "../system/clock.ts";
import { natsEventBus, type NatsEventBusOptions } from "./event-bus.ts";

const acme = tenantId("acme");

let nats: TestStore;
let seed = 0;
beforeAll(async () => {
  nats = await startTestNats({ own: true });
});
afterAll(() => nats.stop());

/** Subjects and a stream of its own, so that tests do not meet. */
const settings = (): NatsEventBusOptions => ({
  url: nats.url,
  clock: systemClock,
  logger: recordingLogger(),
  random: seededRandom(++seed),
  prefix: `test-${seed}`,
  historyBytes: 16 * 1024 * 1024,
});

const openBus = async (options: NatsEventBusOptions): Promise<EventBus> => {
  const bus = natsEventBus(options);
  onTestFinished(() => bus.close());
  await until(() => bus.healthy());
  return bus;
};

const throughProxy = async () => {
  const { port } = new URL(nats.url);
  const proxy = await startTcpProxy(Number(port));
  onTestFinished(() => proxy.close());
  return { proxy, url: nats.url.replace(`:${port}`, `:${proxy.port}`) };
};

const deleteStream = async (name: string): Promise<void> => {
  const { username, password, host } = new URL(nats.url);
  const connection = await connect({ servers: host, user: username, pass: password });
  await (await jetstreamManager(connection)).streams.delete(name);
  await connection.close();
};

const replay = (bus: EventBus, of: Writer, after: number) => {
  const { tenant, sessionKey, runId } = of.at(1);
  return bus.replay(tenant, sessionKey, runId, after);
};
const unavailable = expect.objectContaining({ code: "STORE_UNAVAILABLE" }) as Error;

eventBusContract("nats with JetStream", async () => {
  const options = { ...settings(), historyEntries: 50 };
  const [bus, other] = [natsEventBus(options), natsEventBus(options)];
  await until(() => bus.healthy() && other.healthy());
  return {
    bus,
    other,
    historyEntries: 50,
    close: async () => void (await Promise.all([bus.close(), other.close()])),
  };
});

it("keeps a history where the server can", async () => {
  expect((await openBus(settings())).capabilities.history).toBe(true);
});

/** Servers that carry events live and keep nothing. */
const LIVE_ONLY = [
  { name: "nats without JetStream", programs: testPrograms(), jetStream: false },
  { name: "nats 2.9 of Debian", programs: ["/usr/sbin"], jetStream: true },
].filter(({ programs }) => programs.some((folder) => existsSync(join(folder, "nats-server"))));

for (const { name, programs, jetStream } of LIVE_ONLY) {
  describe(`a server that keeps nothing: ${name}`, () => {
    let server: LocalStore;
    let dir: string;
    beforeAll(async () => {
      dir = await mkdtemp(join(tmpdir(), "openclaw-ha-nats-"));
      server = await startNatsServer({
        dir,
        port: await freePort(),
        programs,
        jetStream,
        outliveParent: false,
      });
    });
    afterAll(async () => {
      await server.stop();
      await rm(dir, { recursive: true });
    });

    eventBusContract(name, async () => {
      const options = { ...settings(), url: server.url };
      const [bus, other] = [natsEventBus(options), natsEventBus(options)];
      await until(() => bus.healthy() && other.healthy());
      return {
        bus,
        other,
        historyEntries: 0,
        close: async () => void (await Promise.all([bus.close(), other.close()])),
      };
    });

    it("says that it keeps no history", async () => {
      const bus = await openBus({ ...settings(), url: server.url });
      expect(bus.capabilities.history).toBe(false);
    });
  });
}

describe("history in JetStream", () => {
  it("is made again when its stream was deleted, and begins anew", async () => {
    const options = settings();
    const bus = await openBus(options);
    const run = writer();
    await bus.publish(run.range(1, 3));
    await deleteStream(options.prefix!);
    expect(await bus.publish(run.range(4, 5))).toBe("published");
    expect(await replay(bus, run, 0)).toBeNull();
    expect(await replay(bus, run, 3)).toEqual(run.range(4, 5));
  });

  it("is dropped by age", async () => {
    const bus = await openBus({ ...settings(), historyMs: 300 });
    await bus.publish(writer().range(1, 2));
    expect(await replay(bus, writer(), 0)).toHaveLength(2);
    await until(async () => (await replay(bus, writer(), 0)) === null);
  });

  it("is read in full where it takes several requests", async () => {
    const bus = await openBus(settings());
    const run = writer();
    for (const event of run.range(1, 1_100)) await bus.publish([event]);
    expect(await replay(bus, run, 0)).toEqual(run.range(1, 1_100));
  });

  it("takes the settings of the newest process", async () => {
    const options = settings();
    await openBus({ ...options, historyEntries: 10 });
    const bus = await openBus({ ...options, historyEntries: 30 });
    const run = writer();
    for (const event of run.range(1, 25)) await bus.publish([event]);
    expect(await replay(bus, run, 0)).toHaveLength(25);
  });

  it("leaves out an event that is too large for the server, and goes on", async () => {
    const logger = recordingLogger();
    const bus = await openBus({ ...settings(), logger });
    const run = writer();
    const huge = run.at(2, { type: "delta", text: "x".repeat(9 * 1024 * 1024) });
    expect(await bus.publish([run.at(1), huge, run.at(3)])).toBe("published");
    expect(await replay(bus, run, 0)).toBeNull();
    expect(await replay(bus, run, 2)).toEqual([run.at(3)]);
    expect(logger.lines).toContainEqual(
      expect.objectContaining({ event: "event-bus.event-too-large", fields: { runSeqs: [2] } }),
    );
  });
});

describe("a NATS that goes away", () => {
  it("refuses publications until it is back, tells followers of the gap, and then takes them once", async () => {
    const server = await startTestNats({ own: true });
    onTestFinished(() => server.stop());
    const bus = await openBus({ ...settings(), url: server.url });
    const run = writer();
    const follower = await follow(bus, acme);
    await bus.publish(run.range(1, 2));
    await follower.heard(() => follower.events.length === 2);
    await server.kill();
    await until(() => !bus.healthy());
    await expect(bus.publish(run.range(3, 3))).rejects.toEqual(unavailable);
    await expect(bus.notify(acme, { type: "presence" })).rejects.toEqual(unavailable);
    await expect(replay(bus, run, 0)).rejects.toEqual(unavailable);
    await server.start();
    await follower.heard(() => follower.gaps() === 1);
    expect(await until(() => bus.publish(run.range(3, 4)).catch(() => null))).toBe("published");
    expect(await bus.publish(run.range(3, 4))).toBe("published");
    expect(await replay(bus, run, 2)).toEqual(run.range(3, 4));
    await follower.heard(() => follower.events.length === 4);
    expect(follower.events).toEqual(run.range(1, 4));
  });

  it("is noticed when it accepts and never answers", async () => {
    const { proxy, url } = await throughProxy();
    const bus = await openBus({ ...settings(), url, commandTimeoutMs: 200 });
    const follower = await follow(bus, acme);
    proxy.blackHole(true);
    await expect(bus.publish(writer().range(1, 1))).rejects.toEqual(unavailable);
    await until(() => !bus.healthy());
    await expect(bus.publish(writer().range(1, 1))).rejects.toEqual(unavailable);
    proxy.blackHole(false);
    await follower.heard(() => follower.gaps() === 1);
    await until(() => bus.publish(writer().range(1, 2)).catch(() => null));
    await follower.heard(() => follower.events.length >= 2);
  });

  it("recognises what it has kept though its answer was lost", async () => {
    const { proxy, url } = await throughProxy();
    const options = settings();
    const far = await openBus({ ...options, url, commandTimeoutMs: 300 });
    const near = await openBus(options);
    const run = writer();
    await far.publish(run.range(1, 1));
    const follower = await follow(near, acme);
    proxy.holdAnswers(true);
    const failing = far.publish(run.range(2, 3)).then(
      () => null,
      (error: unknown) => error,
    );
    await follower.heard(() => follower.events.length === 2);
    expect(await failing).toEqual(unavailable);
    proxy.holdAnswers(false);
    expect(await until(() => far.publish(run.range(2, 4)).catch(() => null))).toBe("published");
    await follower.heard(() => follower.events.length >= 3);
    expect(follower.events).toEqual(run.range(2, 4));
  });

  it("may be away when the process starts and a follower subscribes", async () => {
    const late = await startTestNats({ own: true });
    onTestFinished(() => late.stop());
    await late.kill();
    const bus = natsEventBus({ ...settings(), url: late.url });
    onTestFinished(() => bus.close());
    const follower = await follow(bus, acme);
    expect([bus.healthy(), bus.capabilities.history]).toEqual([false, false]);
    await expect(bus.publish(writer().range(1, 1))).rejects.toEqual(unavailable);
    await late.start();
    await follower.heard(() => follower.gaps() === 1);
    await until(() => bus.publish(writer().range(1, 2)).catch(() => null));
    await follower.heard(() => follower.events.length === 2);
  });

  it("lets the process close while it is away", async () => {
    const late = await startTestNats({ own: true });
    onTestFinished(() => late.stop());
    const [bus, never] = [await openBus({ ...settings(), url: late.url }), natsEventBus(settings())];
    await late.kill();
    await Promise.all([bus.close(), never.close()]);
    expect([bus.healthy(), never.healthy()]).toEqual([false, false]);
  });
});
