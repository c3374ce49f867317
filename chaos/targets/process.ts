import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { directoryObjectStore } from "../../server/adapters/directory/object-store.ts";
import { s3ObjectStore } from "../../server/adapters/s3/object-store.ts";
import { HAError } from "../../server/core/errors.ts";
import type { ObjectStore } from "../../server/ports/object-store.ts";
import type { Random } from "../../server/ports/random.ts";
import { deploymentPaths } from "../../server/supervisor/deployment.ts";
import { until } from "../../server/testing/until.ts";
import { canLimit } from "../faults/cgroup.ts";
import { type FaultProxy, startFaultProxy } from "../faults/proxy.ts";
import { type LocalDeployment, openLocalDeployment, signalProcess } from "./local-deployment.ts";
import { BUCKET, type OwnStores, startOwnStores } from "./own-stores.ts";
import { clearLeftovers, makeRunFolder, type RunFolder } from "./run-folder.ts";
import { SKEW_ENV, skewControl, SKEW_PRELOAD } from "./skew.ts";
import { canMount, smallDisk } from "./small-disk.ts";
import type { Capability, Link, Subject, Target, TargetOptions } from "./target.ts";

/** Above what any command takes on a busy machine. */
const COMMAND_TIMEOUT_MS = 180_000;

export interface ProcessTargetOptions extends TargetOptions {
  readonly random: Random;
  /** PATH and TMPDIR of the machine; nothing else of the caller's environment reaches the deployment. */
  readonly machine: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
}

/** What this machine lets a process target do, without starting anything. */
export function processCapabilities(): ReadonlySet<Capability> {
  const limits: readonly Capability[] = canLimit() ? ["cpu", "memory"] : [];
  const disk: readonly Capability[] = canMount() ? ["disk-full"] : [];
  return new Set([
    "signal",
    "supervisor",
    "stores",
    "network",
    "clock-skew",
    "rolling-restart",
    ...limits,
    ...disk,
  ]);
}

/**
 * Brings up a deployment of its own in a temporary folder by the real command line. With wiring `proxied` its stores
 * are ours and stand, as its gateways do, behind proxies that can fail.
 * @throws HAError MISSING_DEPENDENCY, or as `openclaw-ha up` says; nothing is left behind then
 */
export async function startProcessTarget(options: ProcessTargetOptions): Promise<Target> {
  await clearLeftovers(options.progress);
  const folder = await makeRunFolder();
  const closers: (() => Promise<void>)[] = [() => folder.remove()];
  const close = async (): Promise<void> => {
    let failure: unknown;
    // Everything is tried, the folder last: it ends whatever the others have left.
    for (const one of closers.splice(0).toReversed())
      await one().catch((error: unknown) => (failure ??= error));
    if (failure !== undefined) throw failure;
  };
  try {
    return await bringUp(options, folder, closers, close);
  } catch (error) {
    await close().catch(() => undefined);
    throw error;
  }
}

async function bringUp(
  options: ProcessTargetOptions,
  folder: RunFolder,
  closers: (() => Promise<void>)[],
  close: () => Promise<void>,
): Promise<Target> {
  const { bus, gateways, machine, needs, objects, progress, random, signal, wiring, workers } = options;
  const proxied = wiring === "proxied";
  if (!proxied && (bus === "nats" || objects === "s3")) {
    throw new HAError(
      "REQUEST_INVALID",
      "NATS and S3 are run by chaos itself, and need the wiring `proxied`",
    );
  }
  const home = join(folder.path, "home");
  await mkdir(home, { mode: 0o700 });
  const disk = needs.has("disk-full") ? smallDisk(join(folder.path, "disk")) : null;
  const dataDir = join(disk?.path ?? folder.path, "data");
  const stores: OwnStores | null = proxied
    ? await startOwnStores(join(disk?.path ?? folder.path, "stores"), options, random, machine["PATH"] ?? "")
    : null;
  if (stores !== null) closers.push(() => stores.close());

  const skewFolder = join(folder.path, "skew");
  if (needs.has("clock-skew")) await mkdir(skewFolder);
  const environment = {
    ...cleanEnvironment(home, machine),
    ...(stores?.s3 == null
      ? {}
      : { AWS_ACCESS_KEY_ID: stores.s3.accessKeyId, AWS_SECRET_ACCESS_KEY: stores.s3.secretAccessKey }),
    ...(needs.has("clock-skew") ? { NODE_OPTIONS: `--import=${SKEW_PRELOAD}`, [SKEW_ENV]: skewFolder } : {}),
    ...options.env,
  };
  const cli = async (args: readonly string[], cancelSignal?: AbortSignal): Promise<void> => {
    const ended = await execa(
      join(options.projectRoot, "bin/openclaw-ha"),
      ["--data-dir", dataDir, ...args],
      {
        env: environment,
        extendEnv: false,
        cwd: folder.path,
        reject: false,
        timeout: COMMAND_TIMEOUT_MS,
        ...(cancelSignal === undefined ? {} : { cancelSignal }),
      },
    );
    signal.throwIfAborted();
    if (ended.exitCode === 0) return;
    const [said = ""] = ended.stderr.split("\n").filter((line) => line.startsWith("error:"));
    throw new HAError("STORE_UNAVAILABLE", `openclaw-ha ${args[0]} failed: ${said.replace("error: ", "")}`, {
      exitCode: ended.exitCode,
    });
  };

  progress(`starting ${gateways} gateways and ${workers} workers`);
  closers.push(async () => {
    // The signal that ended the run must not end its tidying.
    await execa(
      join(options.projectRoot, "bin/openclaw-ha"),
      ["--data-dir", dataDir, "down", "--purge", "--yes"],
      {
        env: environment,
        extendEnv: false,
        cwd: folder.path,
        reject: false,
        timeout: COMMAND_TIMEOUT_MS,
      },
    );
  });
  const url = (id: string): string => String(stores?.all.find((store) => store.id === id)?.url);
  await cli(
    [
      "up",
      "v2",
      "--json",
      "--port",
      "0",
      "--gateways",
      String(gateways),
      "--workers",
      String(workers),
      ...(proxied ? ["--postgres-url", url("postgres"), "--redis-url", url("redis")] : []),
      ...(bus === "nats" ? ["--nats-url", url("nats")] : []),
      ...(objects === "s3" ? ["--s3-endpoint", url("s3"), "--s3-bucket", BUCKET] : []),
    ],
    signal,
  );
  const deployment = await openLocalDeployment(dataDir);
  const reached = await reachGateways(deployment, proxied, random);
  closers.push(async () => {
    await Promise.all(reached.flatMap(({ proxy }) => (proxy === null ? [] : [proxy.close()])));
  });
  const links = new Map<string, FaultProxy>([
    ...(stores?.all ?? []).map(({ id, proxy }) => [id, proxy] as const),
    ...reached.flatMap(({ id, proxy }) => (proxy === null ? [] : [[id, proxy] as const])),
  ]);
  const objectStore = openObjects(deployment, stores, options);
  closers.push(() => objectStore.close());

  const subjects = async (): Promise<Subject[]> => [
    ...(await deployment.subjects()),
    ...(stores?.all.map((store) => store.subject()) ?? []),
  ];
  const direct = (id: "postgres" | "redis", fallback: string): string =>
    stores?.all.find((store) => store.id === id)?.directUrl ?? fallback;
  const bucketFolder = stores?.all.find(({ id }) => id === "s3")?.dir;
  return {
    kind: "process",
    capabilities: processCapabilities(),
    gateways: () => Promise.resolve(reached.map(({ id, url: at }) => ({ id, url: at }))),
    tenant: (id) => deployment.tenant(id),
    stores: {
      databaseUrl: direct("postgres", deployment.addresses.postgresAdminUrl),
      redisUrl: direct("redis", deployment.addresses.redisUrl),
      demoModelUrl: deployment.demoModelUrl,
    },
    objects: objectStore,
    folders: {
      objects:
        bucketFolder === undefined ? deploymentPaths(dataDir).objects : join(bucketFolder, "buckets", BUCKET),
      logs: deploymentPaths(dataDir).logs,
    },
    ...(disk === null ? {} : { disk }),
    ...(needs.has("clock-skew") ? { skew: skewControl(skewFolder) } : {}),
    subjects,
    // As an operator would: everything else stays as it is.
    restartSupervisor: () => cli(["up", "--json"]),
    async signal(id, which) {
      signalProcess(id, (await subjects()).find((one) => one.id === id)?.pid ?? null, which);
    },
    link: (id): Link | null => links.get(id) ?? null,
    health: () => deployment.health(),
    async ready(timeoutMs) {
      let reason = "";
      await until(
        async () => {
          const health = await deployment.health();
          reason = health.reason ?? "";
          return health.healthy;
        },
        { timeoutMs, pollMs: 100 },
      ).catch(() => {
        throw new Error(`not ready after ${timeoutMs} ms: ${reason}`);
      });
    },
    close,
  };
}

/** Each gateway as clients reach it: at its own address, or through a proxy of ours. */
async function reachGateways(
  deployment: LocalDeployment,
  proxied: boolean,
  random: Random,
): Promise<{ readonly id: string; readonly url: string; readonly proxy: FaultProxy | null }[]> {
  const { instances } = await deployment.view();
  const gateways = instances.filter(({ pool }) => pool === "gateway");
  return Promise.all(
    gateways.map(async ({ id, url }) => {
      if (!proxied) return { id, url: String(url), proxy: null };
      const proxy = await startFaultProxy({ id, target: Number(new URL(String(url)).port), random });
      return { id, url: `ws://127.0.0.1:${proxy.port}`, proxy };
    }),
  );
}

function openObjects(
  deployment: LocalDeployment,
  stores: OwnStores | null,
  { clock, random }: ProcessTargetOptions,
): ObjectStore {
  const server = stores?.all.find(({ id }) => id === "s3");
  if (server === undefined || stores?.s3 == null) {
    return directoryObjectStore({ dir: deploymentPaths(deployment.dataDir).objects });
  }
  const { accessKeyId, region, secretAccessKey } = stores.s3;
  return s3ObjectStore({
    clock,
    random,
    bucket: BUCKET,
    region,
    endpoint: server.directUrl,
    credentials: { accessKeyId, secretAccessKey },
  });
}

/** What a login shell of a user has. */
function cleanEnvironment(home: string, machine: ProcessTargetOptions["machine"]): Record<string, string> {
  const { PATH = "", TMPDIR } = machine;
  return { PATH, HOME: home, LANG: "C.UTF-8", ...(TMPDIR === undefined ? {} : { TMPDIR }) };
}
