import { join } from "node:path";
import { HAError } from "../../core/errors.ts";
import { askTcp } from "./ask-tcp.ts";
import { requireProgram } from "./find-program.ts";
import type { ProgramFolders } from "./find-program.ts";
import { runStore, STORE_ENDING } from "./local-store.ts";
import type { LocalStore, LocalStoreOptions } from "./local-store.ts";
import { ensureFolder, storePassword, writePrivateFile } from "./store-folder.ts";

export interface NatsServerOptions extends LocalStoreOptions {
  readonly programs: ProgramFolders;
  /** With JetStream, kept in `<dir>/jetstream`; default true. */
  readonly jetStream?: boolean;
}

const START_TIMEOUT_MS = 10_000;
const USER = "openclaw";
/** NATS' default is 1 MB; an event that replaces a long text is larger, and the server warns above 8 MB. */
const MAX_PAYLOAD_BYTES = 8 * 1024 * 1024;
const INSTALL =
  "install it with `go install github.com/nats-io/nats-server/v2@latest` or `apt-get install nats-server`";

/**
 * Runs nats-server for one folder: user and password, loopback only. The URL carries both as userinfo.
 * @throws HAError MISSING_DEPENDENCY, CONFIG_INVALID (folder, port), STORE_UNAVAILABLE
 */
export async function startNatsServer(options: NatsServerOptions): Promise<LocalStore> {
  const command = requireProgram(["nats-server"], options.programs, INSTALL);
  await ensureFolder(options.dir);
  const { password } = await storePassword(options.dir);
  const configFile = join(options.dir, "nats.conf");
  await writePrivateFile(configFile, natsConfig(options, password));
  return runStore(
    {
      name: "NATS",
      spec: { command, args: ["--config", configFile], env: { LC_ALL: "C", TZ: "UTC" }, cwd: options.dir },
      url: `nats://${USER}:${password}@127.0.0.1:${options.port}`,
      ask: () => pings(options.port, password),
      explain: (output) => explain(output, options.port),
      ending: STORE_ENDING,
      startTimeoutMs: START_TIMEOUT_MS,
    },
    options,
  );
}

/** In a file of mode 0600, because arguments are visible to everyone on the machine. */
function natsConfig(options: NatsServerOptions, password: string): string {
  const jetStream = options.jetStream ?? true;
  return [
    `listen: "127.0.0.1:${options.port}"`,
    `max_payload: ${MAX_PAYLOAD_BYTES}`,
    `authorization { user: ${USER}, password: "${password}" }`,
    ...(jetStream ? [`jetstream { store_dir: ${JSON.stringify(join(options.dir, "jetstream"))} }`] : []),
    "",
  ].join("\n");
}

async function pings(port: number, password: string): Promise<boolean> {
  const connect = JSON.stringify({ user: USER, pass: password, verbose: false, pedantic: false });
  const answer = await askTcp(port, `CONNECT ${connect}\r\nPING\r\n`, /^PONG|^-ERR/mu);
  return answer !== null && /^PONG/mu.test(answer);
}

function explain(output: string, port: number): HAError | null {
  if (!/address already in use/u.test(output)) return null;
  return new HAError(
    "CONFIG_INVALID",
    `port ${port} of 127.0.0.1, meant for NATS, is taken by another process`,
    { port },
  );
}
