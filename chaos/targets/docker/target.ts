import { randomBytes } from "node:crypto";
import { access, constants } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { directoryObjectStore } from "../../../server/adapters/directory/object-store.ts";
import { programFolders } from "../../../server/adapters/local/find-program.ts";
import { postgresPool } from "../../../server/adapters/postgres/pool.ts";
import { postgresTenantDirectory } from "../../../server/adapters/postgres/tenant-directory.ts";
import { s3ObjectStore } from "../../../server/adapters/s3/object-store.ts";
import { dockerCli } from "../../../server/containers/docker.ts";
import { givenImages } from "../../../server/containers/images.ts";
import { HAError } from "../../../server/core/errors.ts";
import { tenantId } from "../../../server/core/ids.ts";
import type { Clock } from "../../../server/ports/clock.ts";
import type { ObjectStore } from "../../../server/ports/object-store.ts";
import type { Random } from "../../../server/ports/random.ts";
import { type DockerDeployment, startDockerDeployment } from "./deployment.ts";
import type { PartPool } from "./part.ts";

export interface DockerTargetOptions {
  readonly gateways: number;
  readonly workers: number;
  readonly bus: "redis" | "nats";
  readonly objects: "directory" | "s3";
  readonly clock: Clock;
  readonly random: Random;
  /** Root of the checkout that the images are made of. */
  readonly projectRoot: string;
  /** `disk-full` has PostgreSQL's data put on a small disk. */
  readonly needs: ReadonlySet<string>;
  /** Added to the environment of every instance. */
  readonly env: Readonly<Record<string, string>>;
  /** The machine's: PATH, and images that are given (OPENCLAW_HA_IMAGE_…). */
  readonly machine: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
  readonly progress: (text: string) => void;
}

type FaultSignal = "SIGKILL" | "SIGTERM" | "SIGSTOP" | "SIGCONT";

/** A cluster with its logs and little more: a disk that fills in a moment. */
const SMALL_DISK_BYTES = 400 * 1024 * 1024;
/** What a chaos client may do: what the traffic needs and no more. */
const SCOPES = ["operator.admin"];

/** What chaos can do to containers by the names that all targets share; `deployment` can do more. */
export const DOCKER_CAPABILITIES = ["signal", "stores", "rolling-restart", "disk-full"] as const;

/**
 * A deployment in containers as chaos' runner sees every target.
 * @throws HAError MISSING_DEPENDENCY where there is no Docker engine, or images cannot be built
 */
export async function startDockerTarget(options: DockerTargetOptions) {
  const { env, machine, needs, projectRoot } = options;
  const deployment = await startDockerDeployment({
    ...options,
    packageRoot: projectRoot,
    programs: programFolders(projectRoot, machine["PATH"] ?? "", homedir()),
    images: givenImages(machine),
    environment: env,
    ...(needs.has("disk-full") ? { diskBytes: { postgres: SMALL_DISK_BYTES } } : {}),
  });
  try {
    return await targetOf(deployment, options);
  } catch (error) {
    await deployment.close();
    throw error;
  }
}

async function targetOf(deployment: DockerDeployment, options: DockerTargetOptions) {
  const folder = await objectsFolder(deployment);
  const objects = openObjects(deployment, folder, options);
  const health = async () => {
    const unready = await deployment.unready();
    return unready.length === 0
      ? { healthy: true, reason: null }
      : { healthy: false, reason: `not ready: ${unready.join(", ")}` };
  };
  return {
    kind: "docker" as const,
    capabilities: new Set(DOCKER_CAPABILITIES),
    /** For what only containers can suffer: a pulled cable, a black hole, limits. */
    deployment,
    gateways: () => Promise.resolve(deployment.gateways),
    tenant: (id: string) => addTenant(deployment.databaseUrl, id),
    stores: {
      databaseUrl: deployment.databaseUrl,
      redisUrl: deployment.redisUrl,
      demoModelUrl: deployment.demoModelUrl,
    },
    objects,
    folders: { objects: folder, logs: null },
    subjects: () =>
      Promise.all(
        deployment.parts.flatMap((part) => {
          const { id, pool } = part;
          return isSubject(pool) ? [part.pid().then((pid) => ({ id, pool, pid }))] : [];
        }),
      ),
    async signal(id: string, signal: FaultSignal) {
      const part = deployment.part(id);
      if ((await part.pid()) === null) throw new HAError("NOT_FOUND", `${id} has no process now`, { id });
      await part.signal(signal);
    },
    link: () => null,
    ...(options.needs.has("disk-full") ? { disk: deployment.disks.postgres } : {}),
    health,
    ready: (timeoutMs: number) => deployment.ready(timeoutMs),
    async close() {
      await objects?.close();
      await deployment.close();
    },
  };
}

/** The model is a helper: breaking it is not what a claim is about. */
const isSubject = (pool: PartPool): pool is Exclude<PartPool, "model"> => pool !== "model";

/** Folder of the volume that objects lie in; null where this user may not read it, or they lie elsewhere. */
async function objectsFolder({ disks, s3 }: DockerDeployment): Promise<string | null> {
  const format = "{{.Mountpoint}}";
  const mountpoint = await dockerCli.run(["volume", "inspect", "--format", format, disks.objects.volume]);
  const folder = s3 === null ? mountpoint : join(mountpoint, s3.bucket);
  return access(folder, constants.R_OK).then(
    () => folder,
    () => null,
  );
}

function openObjects(
  { s3 }: DockerDeployment,
  folder: string | null,
  { clock, random }: DockerTargetOptions,
): ObjectStore | null {
  if (s3 === null) return folder === null ? null : directoryObjectStore({ dir: folder });
  const { accessKeyId, bucket, region, secretAccessKey, url: endpoint } = s3;
  const credentials = { accessKeyId, secretAccessKey };
  return s3ObjectStore({ clock, random, bucket, region, endpoint, credentials });
}

async function addTenant(databaseUrl: string, id: string): Promise<{ id: string; token: string }> {
  const token = randomBytes(32).toString("base64url");
  const pool = postgresPool({ url: databaseUrl, applicationName: "chaos", maxConnections: 1, role: null });
  try {
    const directory = postgresTenantDirectory({ pool });
    await directory.addTenant(tenantId(id), "shared");
    await directory.replaceToken(tenantId(id), token, SCOPES, "chaos");
    return { id, token };
  } finally {
    await pool.end();
  }
}
