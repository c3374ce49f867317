import { randomBytes } from "node:crypto";
import { type Container, type ContainerSpec, startContainer } from "./container.ts";
import type { Docker } from "./docker.ts";

/** What a store's container needs to know besides what it is. */
export type StorePlace = Pick<
  ContainerSpec,
  "image" | "owner" | "name" | "network" | "volumes" | "tmpfs" | "memoryBytes"
> & {
  /** Port of 127.0.0.1 on which this machine reaches it. */
  readonly port: number;
};

export interface StoreContainer {
  readonly container: Container;
  /** For processes of this machine; with user and password. */
  readonly url: string;
  /** For containers of the same network. */
  readonly innerUrl: string;
}

export interface S3Container extends StoreContainer {
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

const POSTGRES_PORT = 5432;
const REDIS_PORT = 6379;
const NATS_PORT = 4222;
const S3_PORT = 7070;
/** Each process of a deployment holds nine connections, each test file some. */
const MAX_CONNECTIONS = 200;
/** As startNatsServer says it. */
const NATS_MAX_PAYLOAD_BYTES = 8 * 1024 * 1024;

const secret = (): string => randomBytes(18).toString("base64url");

/**
 * PostgreSQL with an empty database; the user is a superuser.
 * @param durable false: commits do not wait for the disk, for tests that never cut its power
 */
export async function startPostgresContainer(
  docker: Docker,
  place: StorePlace,
  { durable }: { readonly durable: boolean },
): Promise<StoreContainer> {
  const password = secret();
  const unsafe = durable ? [] : ["fsync=off", "synchronous_commit=off", "full_page_writes=off"];
  const settings = [`max_connections=${MAX_CONNECTIONS}`, ...unsafe].flatMap((setting) => ["-c", setting]);
  const container = await startContainer(docker, {
    ...place,
    command: ["postgres", ...settings],
    environment: { POSTGRES_PASSWORD: password },
    publish: { port: POSTGRES_PORT, on: place.port },
    // Over TCP, which only the lasting server answers: the one that prepares the data listens on a socket file alone.
    ready: { command: "pg_isready --quiet --host 127.0.0.1 --username postgres" },
  });
  const url = (at: string): string => `postgres://postgres:${password}@${at}/postgres`;
  return { container, url: url(`127.0.0.1:${place.port}`), innerUrl: url(`${place.name}:${POSTGRES_PORT}`) };
}

/** Redis without persistence, as deployments run it: what it holds can be rebuilt. */
export async function startRedisContainer(docker: Docker, place: StorePlace): Promise<StoreContainer> {
  const password = secret();
  const config = `requirepass ${password}\nsave ""\nappendonly no\nmaxmemory 512mb\nmaxmemory-policy noeviction\n`;
  const container = await startContainer(docker, {
    ...place,
    files: [{ path: "/etc/openclaw-ha-redis.conf", content: config }],
    command: ["redis-server", "/etc/openclaw-ha-redis.conf"],
    publish: { port: REDIS_PORT, on: place.port },
    ready: { to: "PING\r\n", says: "-NOAUTH" },
  });
  const url = (at: string): string => `redis://:${password}@${at}`;
  return { container, url: url(`127.0.0.1:${place.port}`), innerUrl: url(`${place.name}:${REDIS_PORT}`) };
}

/** NATS with JetStream. */
export async function startNatsContainer(docker: Docker, place: StorePlace): Promise<StoreContainer> {
  const password = secret();
  const config = [
    `listen: "0.0.0.0:${NATS_PORT}"`,
    `max_payload: ${NATS_MAX_PAYLOAD_BYTES}`,
    `authorization { user: openclaw, password: "${password}" }`,
    'jetstream { store_dir: "/data/jetstream" }',
  ].join("\n");
  const container = await startContainer(docker, {
    ...place,
    files: [{ path: "/etc/openclaw-ha-nats.conf", content: `${config}\n` }],
    command: ["--config", "/etc/openclaw-ha-nats.conf"],
    publish: { port: NATS_PORT, on: place.port },
    ready: { says: "INFO" },
  });
  const url = (at: string): string => `nats://openclaw:${password}@${at}`;
  return { container, url: url(`127.0.0.1:${place.port}`), innerUrl: url(`${place.name}:${NATS_PORT}`) };
}

/** An S3 server without buckets. */
export async function startS3Container(docker: Docker, place: StorePlace): Promise<S3Container> {
  const [accessKeyId, secretAccessKey, region] = ["openclaw", secret(), "us-east-1"];
  const container = await startContainer(docker, {
    ...place,
    environment: { ROOT_ACCESS_KEY: accessKeyId, ROOT_SECRET_KEY: secretAccessKey },
    command: ["--port", `:${S3_PORT}`, "--keep-alive", "--health", "/health", "posix", "/data"],
    publish: { port: S3_PORT, on: place.port },
    ready: { http: "/health" },
  });
  return {
    container,
    url: `http://127.0.0.1:${place.port}`,
    innerUrl: `http://${place.name}:${S3_PORT}`,
    region,
    accessKeyId,
    secretAccessKey,
  };
}
