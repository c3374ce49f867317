import { spawn } from "node:child_process";
import { homedir } from "node:os";
import { fileURLToPath } from "node:url";
import { Pool } from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { probeReady } from "../../../server/adapters/process/ready-probe.ts";
import { programFolders } from "../../../server/adapters/local/find-program.ts";
import { systemClock } from "../../../server/adapters/system/clock.ts";
import { dockerCli } from "../../../server/containers/docker.ts";
import { givenImages } from "../../../server/containers/images.ts";
import { containersWanted } from "../../../server/testing/container-stores.ts";
import { connectSocket } from "../../../server/testing/socket-client.ts";
import { until } from "../../../server/testing/until.ts";
import { EVERY_EXPECTATION, violationsOf } from "../../crash/expectations.ts";
import { readStores } from "../../crash/read-stores.ts";
import type { SentMessage } from "../../crash/record.ts";
import { commonOrder, recordingClient, type RecordingClient } from "../../crash/recording-client.ts";
import { markOf } from "../../history/format.ts";
import { type DockerDeployment, startDockerDeployment } from "./deployment.ts";
import { droppedPackets } from "./network-namespace.ts";

const PACKAGE_ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const OPTIONS = {
  clock: systemClock,
  packageRoot: PACKAGE_ROOT,
  programs: programFolders(PACKAGE_ROOT, process.env["PATH"] ?? "", homedir()),
  images: givenImages(process.env),
  progress: () => {},
};
/** The first call of the model never ends, a second one does at once: only a takeover brings the answer. */
const STUCK_ONCE = "chunks=6 stall=3 times=1";
/** Images are built before the tests start where `npm test` runs them; else here, which takes minutes once. */
const BUILD_MS = 600_000;
const READY_MS = 60_000;

const where = containersWanted() ? "" : " (skipped: no containers in this run, its first line says why)";

describe.skipIf(!containersWanted())(`a deployment in containers${where}`, () => {
  let deployment: DockerDeployment;
  let database: Pool;

  beforeAll(async () => {
    deployment = await startDockerDeployment({ ...OPTIONS, gateways: 2, workers: 2 });
    database = new Pool({ connectionString: deployment.databaseUrl, max: 2, connectionTimeoutMillis: 2_000 });
    database.on("error", () => {});
  }, BUILD_MS);
  beforeEach(() => deployment.ready(READY_MS));
  afterAll(async () => {
    await database?.end();
    await deployment?.close();
  });

  let sends = 0;
  const session = (name: string): string => `agent:main:${name}`;
  const clientOf = (name: string, gateways: readonly number[] = [0, 1]): RecordingClient => {
    const urls = gateways.map((n) => deployment.gateways[n]?.url ?? "");
    const client = recordingClient({ name, urls, token: deployment.token, order: commonOrder() });
    onTestFinished(() => client.close());
    return client;
  };
  const say = (client: RecordingClient, directives = ""): SentMessage => {
    const key = `${client.name}-${++sends}`;
    return client.send({ key, sessionKey: session(client.name), words: markOf(key), directives });
  };
  const stores = () => readStores(database, deployment.demoModelUrl, { get: () => Promise.resolve(null) });
  const record = async (client: RecordingClient) => ({
    sent: client.sent,
    heard: client.heard,
    ...(await stores().read(session(client.name))),
  });
  const holderOf = (sent: SentMessage): Promise<string> =>
    until(() => stores().holderOf(sent.key), { what: `a holder of ${sent.key}`, timeoutMs: READY_MS });
  /** What this machine hears of a gateway; a gateway that is cut off says nothing. */
  const probe = (gateway: number) =>
    probeReady(`${deployment.gateways[gateway]?.url.replace("ws:", "http:")}/healthz`, 1_500);

  it("answers through either gateway", async () => {
    for (const gateway of [0, 1]) {
      const client = clientOf(`through-${gateway}`, [gateway]);
      say(client);
      await client.ended(READY_MS);
      expect(violationsOf(await record(client), EVERY_EXPECTATION)).toEqual([]);
    }
  });

  it("loses nothing when the container that executes a run is killed, and starts it again", async () => {
    const client = clientOf("killed-worker");
    const [stuck] = [say(client, STUCK_ONCE), say(client)];
    const worker = deployment.part(await holderOf(stuck));
    await until(() => client.heard.some(({ state }) => state === "delta"), { timeoutMs: READY_MS });
    const restarts = worker.restarts();
    await worker.signal("SIGKILL");
    await client.ended(READY_MS);
    const after = await record(client);
    expect(after.runs).toMatchObject([
      { status: "succeeded", attempt: 2, failures: 1 },
      { status: "succeeded", failures: 0 },
    ]);
    expect(violationsOf(after, EVERY_EXPECTATION)).toEqual([]);
    await deployment.ready(READY_MS);
    expect(worker.restarts()).toBe(restarts + 1);
    expect(worker.exits().at(-1)).toBe(137);
  });

  it("drains as process 1 on SIGTERM: what it holds is finished first", async () => {
    const client = clientOf("drained");
    const slow = say(client, "chunks=10 delay=100");
    const worker = deployment.part(await holderOf(slow));
    await until(() => client.heard.some(({ state }) => state === "delta"), { timeoutMs: READY_MS });
    await worker.stop(20_000);
    expect(worker.exits().at(-1) ?? 0).toBe(0);
    expect(await worker.pid()).toBeNull();
    await client.ended(READY_MS);
    const after = await record(client);
    expect(after.runs).toMatchObject([{ status: "succeeded", attempt: 1 }]);
    await worker.start();
  });

  it.each(["postgres", "redis"])("goes on after %s was killed, at its old address", async (id) => {
    const client = clientOf(`without-${id}`);
    const store = deployment.part(id);
    const before = await store.pid();
    await store.signal("SIGKILL");
    say(client);
    await client.ended(READY_MS);
    expect(await store.pid()).not.toBe(before);
    expect(violationsOf(await record(client), EVERY_EXPECTATION)).toEqual([]);
  });

  it("pauses a gateway: it takes connections and says nothing until it goes on", async () => {
    const gateway = deployment.part("gateway-1");
    await gateway.pause();
    onTestFinished(() => gateway.unpause().catch(() => {}));
    expect(await probe(0)).toBe("silent");
    const client = clientOf("paused-gateway");
    say(client);
    await client.ended(READY_MS);
    await gateway.unpause();
    await until(async () => (await probe(0)) === "ready");
    expect(violationsOf(await record(client), EVERY_EXPECTATION)).toEqual([]);
  });

  it.each(["requests", "answers"] as const)("drops a gateway's %s alone", async (direction) => {
    const gateway = deployment.part("gateway-2");
    await gateway.blackHole(direction);
    onTestFinished(() => gateway.letThrough());
    expect(await probe(1)).toBe("silent");
    const pid = (await gateway.pid()) ?? 0;
    expect(await droppedPackets(pid, direction)).toBeGreaterThan(0);
    const other = direction === "requests" ? "answers" : "requests";
    await expect(droppedPackets(pid, other)).rejects.toMatchObject({ code: "INTERNAL" });
    await gateway.letThrough();
    await until(async () => (await probe(1)) === "ready", { timeoutMs: READY_MS });
    expect(gateway.restarts()).toBe(0);
  });

  it("pulls a worker's cable: another one takes over, and it is of use again once it is back", async () => {
    const client = clientOf("pulled-cable");
    const stuck = say(client, STUCK_ONCE);
    const worker = deployment.part(await holderOf(stuck));
    await worker.disconnect();
    onTestFinished(() => worker.connect().catch(() => {}));
    await client.ended(READY_MS);
    const after = await record(client);
    expect(after.runs).toMatchObject([{ status: "succeeded", attempt: 2 }]);
    expect(violationsOf(after, EVERY_EXPECTATION)).toEqual([]);
    await worker.connect();
    await deployment.ready(READY_MS);
  });

  it("kills what takes more memory than its limit", async () => {
    const worker = deployment.part("worker-2");
    const oomKilled = (): Promise<string> =>
      dockerCli.run(["inspect", "--format", "{{.State.OOMKilled}}", nameOf("worker-2")]);
    await worker.stop(20_000);
    await worker.limitMemory(24 * 1024 * 1024);
    const restarts = worker.restarts();
    await worker.start();
    await until(async () => (await oomKilled()) === "true", { timeoutMs: READY_MS });
    await until(() => worker.restarts() > restarts, { what: "the restart", timeoutMs: READY_MS });
    expect(worker.exits().at(-1)).toBe(137);
    await worker.limitMemory(null);
    await deployment.ready(READY_MS);
  });

  it("takes most of a core away", async () => {
    const worker = deployment.part("worker-1");
    await worker.limitCpu(0.1);
    const quota = (): Promise<string> =>
      dockerCli.run(["exec", nameOf("worker-1"), "sh", "-c", `cat ${CPU_QUOTA_V2} || cat ${CPU_QUOTA_V1}`]);
    expect(await quota()).toMatch(/^10000\b/u);
    await worker.limitCpu(null);
    expect(await quota()).toMatch(/^(-1|max)\b/u);
  });

  it("runs as nobody in particular, and its own health check agrees", async () => {
    expect(await dockerCli.run(["exec", nameOf("gateway-1"), "id", "-un"])).toBe("openclaw-ha");
    const health = (): Promise<string> =>
      dockerCli.run(["inspect", "--format", "{{.State.Health.Status}}", nameOf("gateway-1")]);
    await until(async () => (await health()) === "healthy", { timeoutMs: READY_MS });
  });

  const nameOf = (id: string): string => `openclaw-ha-${deployment.run}-${id}`;
});

describe.skipIf(!containersWanted())(
  `a deployment in containers on NATS, S3 and a small disk${where}`,
  () => {
    it("refuses retryably while PostgreSQL's disk is full, and goes on once there is room; nothing of it is left", async () => {
      const deployment = await startDockerDeployment({
        ...OPTIONS,
        gateways: 1,
        workers: 1,
        bus: "nats",
        objects: "s3",
        diskBytes: { postgres: 160 * 1024 * 1024 },
      });
      onTestFinished(() => deployment.close());
      const [gateway] = deployment.gateways;
      const [url, token] = [gateway?.url ?? "", deployment.token];
      // Large enough for object storage: the text comes back from there.
      const words = `kept ${"x".repeat(300_000)}`;
      const before = await connectSocket(url, { token });
      onTestFinished(() => before.terminate());
      await before.ok("chat.send", { sessionKey: "full", message: words, idempotencyKey: "before" });
      await before.wait((frame) => frame.payload?.["state"] === "final", "the answer");

      await deployment.disks.postgres.fill();
      await until(
        async () => {
          const client = await connectSocket(url, { token });
          const message = "y".repeat(200_000);
          const idempotencyKey = `full-${performance.now()}`;
          const answer = await client.request("chat.send", { sessionKey: "full-2", message, idempotencyKey });
          client.terminate();
          return answer.error?.retryable === true;
        },
        { what: "a refusal", timeoutMs: READY_MS },
      );
      await deployment.disks.postgres.free();
      await deployment.ready(READY_MS);
      const after = await connectSocket(url, { token });
      onTestFinished(() => after.terminate());
      const history = await after.ok("chat.history", { sessionKey: "full" });
      expect(JSON.stringify(history)).toContain("kept xxx");
      await after.ok("chat.send", { sessionKey: "full", message: "and on", idempotencyKey: "after" });
      await after.wait(
        ({ payload }) => payload?.["state"] === "final" && payload["runId"] === "after",
        "the answer after it",
      );
    });
  },
);

describe.skipIf(!containersWanted())(`an owner of containers that is killed${where}`, () => {
  it("leaves no container, network or volume behind", async () => {
    const program = `
      import { labelArguments, ownerHere } from ${JSON.stringify(`${PACKAGE_ROOT}server/containers/ownership.ts`)};
      import { dockerCli } from ${JSON.stringify(`${PACKAGE_ROOT}server/containers/docker.ts`)};
      import { reapAfter } from ${JSON.stringify(`${PACKAGE_ROOT}server/containers/reaper.ts`)};
      const owner = ownerHere("reaped-" + process.pid);
      reapAfter(owner);
      const labels = labelArguments(owner);
      await dockerCli.run(["network", "create", ...labels, owner.run]);
      await dockerCli.run(["volume", "create", ...labels, owner.run]);
      const container = ["--detach", "--network", owner.run, "--volume", owner.run + ":/data"];
      await dockerCli.run(["run", ...container, ...labels, process.argv[1], "sleep", "600"]);
      process.stdout.write(owner.run + "\\n");
      setInterval(() => {}, 1000);`;
    const image = givenImages(process.env).redis ?? "";
    const owner = spawn(process.execPath, ["--input-type=module", "--eval", program, image], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    onTestFinished(() => void owner.kill("SIGKILL"));
    const run = await new Promise<string>((resolve) => {
      owner.stdout.once("data", (line: Buffer) => resolve(line.toString().trim()));
    });
    expect(await ofRun(run)).toHaveLength(3);
    owner.kill("SIGKILL");
    await until(async () => (await ofRun(run)).length === 0, { what: "the removal", timeoutMs: READY_MS });
  });
});

/** The first that is there: of control groups version 2, or of version 1. */
const CPU_QUOTA_V2 = "/sys/fs/cgroup/cpu.max";
const CPU_QUOTA_V1 = "/sys/fs/cgroup/cpu/cpu.cfs_quota_us";

/** Ids of all that is labelled with a run. */
async function ofRun(run: string): Promise<string[]> {
  const lists = [
    ["ps", "--all"],
    ["network", "ls"],
    ["volume", "ls"],
  ].map((list) => dockerCli.run([...list, "--quiet", "--filter", `label=openclaw-ha.run=${run}`]));
  return (await Promise.all(lists)).flatMap((ids) => ids.split("\n")).filter((id) => id !== "");
}
