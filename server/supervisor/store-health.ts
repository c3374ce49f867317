import { access, constants } from "node:fs/promises";
import { connect } from "node:net";
import { connect as connectTls } from "node:tls";
import { HAError } from "../core/errors.ts";
import type { DeploymentAddresses } from "./addresses.ts";
import type { DesiredTopology } from "./deployment.ts";
import type { DeploymentSecrets } from "./secrets.ts";

/** Short: a store that takes longer to say "here" is not healthy, and `status` waits for the answer. */
const TIMEOUT_MS = 1_500;

/** An answer, and how long it took. */
export async function timed(
  answer: Promise<boolean>,
): Promise<{ readonly healthy: boolean; readonly latencyMs?: number }> {
  const started = performance.now();
  const healthy = await answer;
  return healthy ? { healthy, latencyMs: Math.round((performance.now() - started) * 10) / 10 } : { healthy };
}

/** True when Redis (or Valkey) takes the URL's password and answers PING. Never rejects. */
export function redisAnswers(url: string): Promise<boolean> {
  const { username, password } = new URL(url);
  const credentials = [username, password].filter((part) => part !== "").map(decodeURIComponent);
  const auth = credentials.length === 0 ? "" : command("AUTH", ...credentials);
  return asks(url, 6_379, auth + command("PING"), /\+PONG\r\n/);
}

/** True when a NATS server greets. Never rejects. */
export const natsAnswers = (url: string): Promise<boolean> => asks(url, 4_222, "", /^INFO /);

/** True when something accepts connections at the URL's address. Never rejects. */
export const accepts = (url: string, defaultPort: number): Promise<boolean> =>
  asks(url, defaultPort, "", null);

/** True when objects can be read and written, as far as can be told without writing one. Never rejects. */
export async function objectsAnswer(objects: DeploymentAddresses["objects"]): Promise<boolean> {
  try {
    if (objects.mode === "directory") {
      await access(objects.directory, constants.R_OK | constants.W_OK);
      return true;
    }
    // Without a signature S3 refuses; that it answers at all is what is asked here.
    const { status } = await fetch(s3Endpoint(objects), {
      method: "HEAD",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    return status < 500;
  } catch {
    return false;
  }
}

/**
 * Stores of somebody else that do not answer, as the errors of an `up`. PostgreSQL is not among them: the migration
 * asks it, and knows better what is wrong.
 */
export async function externalStoresAway(
  { nats, objects, redis }: DesiredTopology,
  urls: DeploymentSecrets["urls"],
): Promise<HAError[]> {
  const s3 = objects.mode === "s3" ? objects : null;
  const [redisAway, natsAway, s3Away] = await Promise.all([
    isAway(redis.mode === "external", () => redisAnswers(urls.redis ?? "redis://")),
    isAway(nats.mode === "external", () => natsAnswers(urls.nats ?? "nats://")),
    s3 === null ? Promise.resolve(false) : isAway(true, () => objectsAnswer(s3)),
  ]);
  return [
    ...(redisAway ? [away("Redis", urls.redis, "--redis-url, its password, and that it runs")] : []),
    ...(natsAway ? [away("NATS", urls.nats, "--nats-url, and that it runs")] : []),
    ...(s3Away
      ? [away("the object store", s3 === null ? "" : s3Endpoint(s3), "--s3-endpoint, and that it runs")]
      : []),
  ];
}

const isAway = async (wanted: boolean, answers: () => Promise<boolean>): Promise<boolean> =>
  wanted && !(await answers());

/** Without user and password: errors are printed. */
function away(store: string, url: string | undefined, check: string): HAError {
  const place = url !== undefined && URL.canParse(url) ? new URL(url).host : "an unknown address";
  return new HAError("STORE_UNAVAILABLE", `${store} does not answer at ${place}`, {
    place,
    hint: `check ${check}`,
  });
}

const s3Endpoint = ({
  endpoint,
  region,
}: {
  readonly endpoint: string | null;
  readonly region: string;
}): string => endpoint ?? `https://s3.${region}.amazonaws.com`;

/** RESP array of bulk strings: unlike an inline command it takes any password. */
const command = (...parts: string[]): string =>
  `*${parts.length}\r\n${parts.map((part) => `$${Buffer.byteLength(part)}\r\n${part}\r\n`).join("")}`;

function asks(url: string, defaultPort: number, request: string, wanted: RegExp | null): Promise<boolean> {
  const { protocol, hostname, port } = new URL(url);
  const address = { host: hostname.replace(/^\[|\]$/g, ""), port: Number(port || defaultPort) };
  const tls = ["rediss:", "tls:"].includes(protocol);
  return new Promise((resolve) => {
    let answer = "";
    const socket = tls ? connectTls({ ...address, servername: address.host }) : connect(address);
    const end = (healthy: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(healthy);
    };
    const timer = setTimeout(() => end(false), TIMEOUT_MS);
    socket.setEncoding("utf8");
    socket.once(tls ? "secureConnect" : "connect", () => {
      if (wanted === null) return end(true);
      socket.write(request);
    });
    socket.on("data", (chunk: string) => {
      answer += chunk;
      if (wanted?.test(answer)) end(true);
    });
    socket.on("error", () => end(false));
    socket.on("close", () => end(false));
  });
}
