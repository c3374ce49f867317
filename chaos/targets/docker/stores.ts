import { randomBytes } from "node:crypto";
import { freePort } from "../../../server/adapters/local/free-port.ts";
import { createBucket } from "../../../server/containers/create-bucket.ts";
import type { Docker } from "../../../server/containers/docker.ts";
import type { ImageName } from "../../../server/containers/image-recipes.ts";
import type { Owner } from "../../../server/containers/ownership.ts";
import {
  type S3Container,
  startNatsContainer,
  startPostgresContainer,
  startRedisContainer,
  startS3Container,
  type StoreContainer,
  type StorePlace,
} from "../../../server/containers/store-containers.ts";
import type { Clock } from "../../../server/ports/clock.ts";
import { type Disk, makeDisk } from "./disk.ts";
import { keepPart, type KeptPart } from "./part.ts";

/** Where the containers of one deployment are started. */
export interface Place {
  readonly docker: Docker;
  readonly owner: Owner;
  readonly network: string;
  readonly clock: Clock;
  /** What was started is added here at once, so that it is kept also if the next one fails. */
  readonly parts: KeptPart[];
}

export interface StoresOptions extends Place {
  readonly images: Readonly<Partial<Record<ImageName, string>>>;
  readonly bus?: "redis" | "nats";
  readonly objects?: "directory" | "s3";
  readonly diskBytes?: DiskBytes;
}

/** Sizes of disks that are to become full; what has none lies on the engine's disk. */
export interface DiskBytes {
  readonly postgres?: number;
  readonly objects?: number;
}

export interface Stores {
  readonly postgres: StoreContainer & { readonly appPassword: string; readonly innerAppUrl: string };
  readonly redis: StoreContainer;
  readonly nats: StoreContainer | null;
  readonly s3: (S3Container & { readonly bucket: string }) | null;
  /** What lies on them: PostgreSQL's data, and all objects. */
  readonly disks: { readonly postgres: Disk; readonly objects: Disk };
}

const APP_ROLE = "openclaw_ha_app";
const BUCKET = "openclaw-ha";
const PGDATA = "/var/lib/postgresql/data";
const S3_DATA = "/data";

/** Starts the stores side by side. */
export async function startStores(options: StoresOptions): Promise<Stores> {
  const { bus = "redis", diskBytes = {}, images, objects = "directory" } = options;
  const disk = (name: "postgres" | "objects"): Promise<Disk> =>
    makeDisk({ ...options, name, bytes: diskBytes[name] ?? null, image: images.redis ?? "" });
  const disks = { postgres: await disk("postgres"), objects: await disk("objects") };
  const kept = async <Started extends StoreContainer>(
    id: "postgres" | "redis" | "nats" | "s3",
    start: (place: StorePlace) => Promise<Started>,
    more: Partial<StorePlace> = {},
  ): Promise<Started> => {
    const { network, owner } = options;
    const image = images[id] ?? "";
    const started = await start({ image, owner, network, name: id, port: await freePort(), ...more });
    options.parts.push(keepPart({ ...options, id, pool: "store", container: started.container }));
    return started;
  };
  const [postgres, redis, nats, s3] = await Promise.all([
    kept("postgres", (place) => startPostgresContainer(options.docker, place, { durable: true }), {
      volumes: { [disks.postgres.volume]: PGDATA },
    }),
    kept("redis", (place) => startRedisContainer(options.docker, place)),
    bus === "nats" ? kept("nats", (place) => startNatsContainer(options.docker, place)) : null,
    objects === "s3"
      ? kept("s3", (place) => startS3Container(options.docker, place), {
          volumes: { [disks.objects.volume]: S3_DATA },
        })
      : null,
  ]);
  if (s3 !== null) await createBucket(s3, BUCKET);
  const appPassword = randomBytes(32).toString("base64url");
  const innerAppUrl = new URL(postgres.innerUrl);
  innerAppUrl.username = APP_ROLE;
  innerAppUrl.password = appPassword;
  return {
    postgres: { ...postgres, appPassword, innerAppUrl: innerAppUrl.href },
    redis,
    nats,
    disks,
    s3: s3 === null ? null : { ...s3, bucket: BUCKET },
  };
}
