import { homedir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { HAError } from "../server/core/errors.ts";
import type { Clock } from "../server/ports/clock.ts";
import type { TenantDirectory } from "../server/ports/directory.ts";
import type { Random } from "../server/ports/random.ts";
import type { InstanceConfig } from "../server/config.ts";
import type { Output } from "./output.ts";
import type { StoreFacts } from "../server/diagnosis/facts.ts";
import type { DeploymentPorts } from "./ports.ts";

/** One deployment on this machine: its name and where its files lie. */
export interface DeploymentRef {
  readonly name: string;
  readonly dataDir: string;
}

/** Flags that every command has. */
export interface GlobalFlags {
  readonly json?: boolean;
  readonly name?: string;
  readonly dataDir?: string;
  readonly config?: string;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** What a command receives: everything it may know of the process that it runs in. */
export interface CliContext {
  readonly output: Output;
  /** Aborts at the first SIGINT or SIGTERM; a second one ends the process at once. */
  readonly signal: AbortSignal;
  readonly cwd: string;
  readonly env: Environment;
  readonly stdin: AsyncIterable<Uint8Array> & { readonly isTTY?: boolean };
  readonly clock: Clock;
  readonly random: Random;
  /** Version of this program. */
  readonly version: string;
  readonly nodeVersion: string;
  /** The checkout that this program runs from. */
  readonly projectRoot: string;
  /** Known once the command line is parsed: use it inside of actions only. */
  readonly deployment: DeploymentRef;
  /** openclaw-ha.yaml: `--config`, `OPENCLAW_HA_CONFIG`, or the one in the working directory; null where there is none. */
  readonly configFile: string | null;
  /** Opens the stores of a deployment; `withPorts` of ports.ts also closes them. */
  openPorts(config: InstanceConfig, env: Environment): Promise<DeploymentPorts>;
  /** Opens the tenants of a database as its operator; `withDirectory` of tenants/ also closes them. */
  openDirectory(adminUrl: string): Promise<TenantDirectory>;
  /** Looks at the stores of a deployment, also at ones that do not work. */
  openFacts(config: InstanceConfig): Promise<StoreFacts>;
  /** The exit code of a command whose answer is no: the result is printed, nothing is thrown. */
  setExitCode(code: number): void;
}

/** What the context is made of; all of it comes from the process that the program runs in. */
export interface ContextOptions extends Pick<
  CliContext,
  | "output"
  | "signal"
  | "cwd"
  | "env"
  | "stdin"
  | "clock"
  | "random"
  | "version"
  | "nodeVersion"
  | "openPorts"
  | "openDirectory"
  | "openFacts"
> {
  /** Read when asked for, because commands are built before the command line is parsed. */
  readonly globals: () => GlobalFlags;
  readonly exists: (file: string) => boolean;
  readonly setExitCode: (code: number) => void;
}

export function createContext(options: ContextOptions): CliContext {
  const { globals, exists, ...rest } = options;
  return {
    ...rest,
    projectRoot: fileURLToPath(new URL("..", import.meta.url)).replace(/\/$/, ""),
    get deployment() {
      return deploymentRef(globals(), options.env, options.cwd);
    },
    get configFile() {
      const named = globals().config ?? (options.env["OPENCLAW_HA_CONFIG"] || undefined);
      if (named !== undefined) return path.resolve(options.cwd, named);
      const local = path.join(options.cwd, "openclaw-ha.yaml");
      return exists(local) ? local : null;
    },
  };
}

/** A name is part of a path and of log lines. */
const NAME = /^[a-z0-9][a-z0-9_.-]{0,62}$/;

/**
 * Which deployment a command is about: flags over environment over `default`.
 * @throws HAError REQUEST_INVALID for a name that cannot be a folder's
 */
export function deploymentRef(flags: GlobalFlags, env: Environment, cwd: string): DeploymentRef {
  const name = flags.name ?? (env["OPENCLAW_HA_NAME"] || "default");
  if (!NAME.test(name)) {
    throw new HAError("REQUEST_INVALID", `--name ${JSON.stringify(name)} is not a usable name`, {
      hint: "use lower-case letters, digits, dots, dashes and underscores, at most 63",
    });
  }
  const chosen = flags.dataDir ?? (env["OPENCLAW_HA_DATA_DIR"] || undefined);
  if (chosen !== undefined) return { name, dataDir: path.resolve(cwd, chosen) };
  // The specification says that a relative XDG path is to be ignored.
  const xdg = env["XDG_STATE_HOME"];
  const state = xdg && path.isAbsolute(xdg) ? xdg : path.join(env["HOME"] || homedir(), ".local", "state");
  return { name, dataDir: path.join(state, "openclaw-ha", name) };
}
