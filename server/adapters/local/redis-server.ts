import { join } from "node:path";
import { HAError } from "../../core/errors.ts";
import { askTcp } from "./ask-tcp.ts";
import { requireProgram } from "./find-program.ts";
import type { ProgramFolders } from "./find-program.ts";
import { runStore, STORE_ENDING } from "./local-store.ts";
import type { LocalStore, LocalStoreOptions } from "./local-store.ts";
import { ensureFolder, storePassword, writePrivateFile } from "./store-folder.ts";

export interface RedisServerOptions extends LocalStoreOptions {
  readonly programs: ProgramFolders;
  /** Above it writes are refused, nothing is evicted: a queue that forgets silently is worse than one that is full. */
  readonly maxMemoryMb?: number;
}

const DEFAULT_MAX_MEMORY_MB = 512;
const START_TIMEOUT_MS = 10_000;

/** Debian's and Homebrew's name first; both speak the same protocol. */
const PROGRAMS = ["redis-server", "valkey-server"];
const INSTALL = "install it with `apt-get install redis-server` or `brew install redis`, or give --redis-url";

/**
 * Runs redis-server (or valkey-server) for one folder: password, loopback only, no persistence. What it holds can be
 * rebuilt from Postgres, so a restart begins empty on purpose.
 * @throws HAError MISSING_DEPENDENCY, CONFIG_INVALID (folder, port), STORE_UNAVAILABLE
 */
export async function startRedisServer(options: RedisServerOptions): Promise<LocalStore> {
  const command = requireProgram(PROGRAMS, options.programs, INSTALL);
  await ensureFolder(options.dir);
  const { password } = await storePassword(options.dir);
  const configFile = join(options.dir, "redis.conf");
  await writePrivateFile(configFile, redisConfig(options, password));
  const url = `redis://:${password}@127.0.0.1:${options.port}`;
  const spec = { command, args: [configFile], env: { LC_ALL: "C", TZ: "UTC" }, cwd: options.dir };
  return runStore(
    {
      name: "Redis",
      spec,
      url,
      ask: () => pings(options.port, password),
      explain: (output) => explain(output, options.port),
      ending: STORE_ENDING,
      startTimeoutMs: START_TIMEOUT_MS,
    },
    options,
  );
}

/** In a file of mode 0600, because arguments are visible to everyone on the machine. */
const redisConfig = (options: RedisServerOptions, password: string): string => `# Written at every start.
bind 127.0.0.1
port ${options.port}
protected-mode yes
requirepass ${password}
daemonize no
save ""
appendonly no
dir ${quoted(options.dir)}
maxmemory ${options.maxMemoryMb ?? DEFAULT_MAX_MEMORY_MB}mb
maxmemory-policy noeviction
`;

/** As redis.conf reads it: double quotes, with backslash escapes. */
const quoted = (path: string): string => `"${path.replaceAll(/["\\]/gu, "\\$&")}"`;

async function pings(port: number, password: string): Promise<boolean> {
  const answer = await askTcp(port, `AUTH ${password}\r\nPING\r\n`, /\+PONG|-/u);
  return answer?.includes("+PONG") ?? false;
}

function explain(output: string, port: number): HAError | null {
  if (!/Address already in use/u.test(output)) return null;
  return new HAError(
    "CONFIG_INVALID",
    `port ${port} of 127.0.0.1, meant for Redis, is taken by another process`,
    { port },
  );
}
