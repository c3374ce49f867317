import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { probeReady } from "../../../server/adapters/process/ready-probe.ts";
import { dockerCli, requireEngine } from "../../../server/containers/docker.ts";
import { ensureImages, type GivenImages } from "../../../server/containers/images.ts";
import type { Workshop } from "../../../server/containers/image-recipes.ts";
import { labelArguments, ownerHere, removeOrphans, removeRun } from "../../../server/containers/ownership.ts";
import { reapAfter } from "../../../server/containers/reaper.ts";
import { HAError } from "../../../server/core/errors.ts";
import type { Clock } from "../../../server/ports/clock.ts";
import { supervisorDatabase } from "../../../server/supervisor-database.ts";
import { startInstances } from "./instances.ts";
import type { KeptPart, Part } from "./part.ts";
import { type DiskBytes, startStores, type Stores } from "./stores.ts";

export interface DockerDeploymentOptions extends Workshop {
  readonly gateways: number;
  readonly workers: number;
  readonly clock: Clock;
  readonly bus?: "redis" | "nats";
  /** `directory`: a volume that all instances share. */
  readonly objects?: "directory" | "s3";
  /** Disks of these sizes can be filled (`disks`). */
  readonly diskBytes?: DiskBytes;
  /** More variables of every instance, `OPENCLAW_HA_DRAIN_GRACE_MS` for one. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Images to take instead of building them. */
  readonly images?: GivenImages;
  readonly progress: (text: string) => void;
  /** Gives the start up, with everything that was started. */
  readonly signal?: AbortSignal;
}

/** A deployment whose every process is a container of its own, on a network of its own. */
export interface DockerDeployment {
  /** Label `openclaw-ha.run` of all that was made for it. */
  readonly run: string;
  readonly network: string;
  /** Operator's token of tenant `default`. */
  readonly token: string;
  /** As this machine reaches them. */
  readonly databaseUrl: string;
  readonly redisUrl: string;
  readonly demoModelUrl: string;
  /** Each gateway's own address; it stays the same over restarts. */
  readonly gateways: readonly { readonly id: string; readonly url: string }[];
  readonly parts: readonly Part[];
  readonly disks: Stores["disks"];
  /** Null where objects lie in a volume. */
  readonly s3: Stores["s3"];
  /** @throws HAError NOT_FOUND */
  part(id: string): Part;
  /** Ids of what is not up and ready now. */
  unready(): Promise<string[]>;
  /** @throws HAError TIMEOUT that names what is not ready */
  ready(timeoutMs: number): Promise<void>;
  /** What a container has written so far, over its restarts. */
  logs(id: string): Promise<string>;
  /** Removes everything. A second time it does nothing. */
  close(): Promise<void>;
}

const PROBE_MS = 1_000;
const POLL_MS = 100;

/**
 * Builds the images that are not there, starts everything, and resolves when it is ready. What is made is labelled and
 * removed when this process ends, however it ends.
 * @throws HAError MISSING_DEPENDENCY where there is no Docker engine, or something that an image is made of
 */
export async function startDockerDeployment(options: DockerDeploymentOptions): Promise<DockerDeployment> {
  const { progress } = options;
  await requireEngine();
  await removeOrphans(dockerCli);
  const images = await ensureImages(imagesOf(options), {
    ...options,
    docker: dockerCli,
    given: options.images,
    onProgress: progress,
  });
  const run = `chaos-${randomBytes(4).toString("hex")}`;
  const owner = ownerHere(run);
  const callOff = reapAfter(owner);
  const parts: KeptPart[] = [];
  let closing: Promise<void> | null = null;
  const close = (): Promise<void> => {
    closing ??= (async () => {
      const letGo = parts.map((part) => part.letGo());
      await removeRun(dockerCli, run);
      await Promise.all(letGo);
      callOff();
    })();
    return closing;
  };

  try {
    const network = `openclaw-ha-${run}`;
    await dockerCli.run(["network", "create", ...labelArguments(owner), network]);
    const place = { ...options, docker: dockerCli, owner, network, parts };
    options.signal?.throwIfAborted();
    progress("starting stores in containers");
    const stores = await startStores({ ...place, images });
    const token = await prepareDatabase(stores.postgres, progress);
    options.signal?.throwIfAborted();
    progress(`starting ${options.gateways} gateways and ${options.workers} workers in containers`);
    const instances = await startInstances({ ...place, image: images.app, stores });

    options.signal?.throwIfAborted();
    const unready = async (): Promise<string[]> => {
      const looks = parts.map(async ({ container, id }) => {
        const readyUrl = instances.readyUrls.get(id);
        const up =
          readyUrl === undefined
            ? await container.isRunning()
            : (await probeReady(readyUrl, PROBE_MS)) === "ready";
        return up ? [] : [id];
      });
      return (await Promise.all(looks)).flat();
    };
    const part = (id: string): KeptPart => {
      const found = parts.find((one) => one.id === id);
      if (found !== undefined) return found;
      const known = parts.map((one) => one.id).join(", ");
      throw new HAError("NOT_FOUND", `no container is called ${id}`, { id, hint: `there are ${known}` });
    };
    return {
      run,
      network,
      token,
      databaseUrl: stores.postgres.url,
      redisUrl: stores.redis.url,
      demoModelUrl: instances.demoModelUrl,
      gateways: instances.gateways,
      parts,
      disks: stores.disks,
      s3: stores.s3,
      part,
      unready,
      async ready(timeoutMs) {
        const deadline = performance.now() + timeoutMs;
        for (;;) {
          const missing = await unready();
          if (missing.length === 0) return;
          if (performance.now() > deadline) {
            const names = missing.join(", ");
            throw new HAError("TIMEOUT", `not ready after ${timeoutMs} ms: ${names}`, { instances: missing });
          }
          await sleep(POLL_MS);
        }
      },
      logs: (id) => dockerCli.run(["logs", part(id).container.id]),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

const imagesOf = ({ bus, objects }: DockerDeploymentOptions) => [
  "app" as const,
  "postgres" as const,
  "redis" as const,
  ...(bus === "nats" ? ["nats" as const] : []),
  ...(objects === "s3" ? ["s3" as const] : []),
];

/** As the supervisor does it: schema, the application's own login, and the operator of tenant `default`. */
async function prepareDatabase(
  { appPassword, url }: { readonly url: string; readonly appPassword: string },
  progress: (text: string) => void,
): Promise<string> {
  const database = supervisorDatabase();
  const token = randomBytes(32).toString("base64url");
  try {
    await database.migrate({ adminUrl: url, appPassword, onProgress: progress });
    await database.prepareTenant({ url, token });
  } finally {
    await database.close();
  }
  return token;
}
