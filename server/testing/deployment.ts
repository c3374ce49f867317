import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { processIdentity } from "../adapters/local/process-table.ts";
import type { DeploymentView } from "../supervisor/view.ts";
import { guardFolder, storeFolder } from "./keep.ts";
import { endAllUnder, type FoundProcess, processesUnder } from "./processes-under.ts";
import { connectSocket, type SocketClient } from "./socket-client.ts";
import { until } from "./until.ts";
import type { ConnectOptions } from "./wire-client.ts";

export const PROGRAM = fileURLToPath(new URL("../../bin/openclaw-ha", import.meta.url));

/** Above what any command takes on a busy machine; `up` on a cold one takes 10 s. */
const COMMAND_TIMEOUT_MS = 120_000;

export interface CliResult {
  readonly stdout: string;
  readonly stderr: string;
  /** 128 + signal where it was ended by one, as shells say it. */
  readonly exitCode: number;
  /** stdout as the one JSON document that it must be. @throws SyntaxError */
  readonly json: () => unknown;
  /** stdout as JSON lines. @throws SyntaxError */
  readonly lines: () => Record<string, unknown>[];
}

export interface CliOptions {
  readonly stdin?: string;
  readonly timeoutMs?: number;
  /** Added to the environment; `undefined` takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  readonly program?: string;
  /** Sends SIGTERM when it aborts, as Ctrl-C sends SIGINT. */
  readonly signal?: AbortSignal;
}

export interface DeploymentCliOptions extends CliOptions {
  /** True: without `--data-dir`, so that `--name` and the environment decide. */
  readonly noDataDir?: boolean;
}

export interface DeploymentOptions {
  readonly gateways?: number;
  readonly workers?: number;
  /** More arguments of `up`. */
  readonly args?: readonly string[];
  /** Of every command, and so of the supervisor and what it starts. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** `bin/openclaw-ha` of another checkout; default this one's. */
  readonly program?: string;
  /** False: only the folder is made, and nothing runs until the test says `up`. */
  readonly up?: boolean;
}

/** A deployment of its own in a folder of its own, driven through the command line as its users do. */
export interface TestDeployment {
  /** Gone after `close`, with everything that ran in it; holds `dataDir` and the deployment's HOME. */
  readonly folder: string;
  readonly dataDir: string;
  /** Runs `bin/openclaw-ha --data-dir …` with these arguments. Never throws because of the exit code. */
  cli(args: readonly string[], options?: DeploymentCliOptions): Promise<CliResult>;
  /** `up v2` on a free port, with the pool sizes of this deployment. @throws Error unless it exits 0 */
  up(...args: readonly string[]): Promise<DeploymentView>;
  status(): Promise<DeploymentView>;
  /** `env --json`: OPENCLAW_GATEWAY_URL, OPENCLAW_GATEWAY_TOKEN, DATABASE_URL, REDIS_URL, … */
  env(): Promise<Record<string, string>>;
  /** Of an instance (`gateway-1`, `demo-model`), a store (`postgres`, `redis`) or `supervisor`. @throws Error when it has none */
  pidOf(part: string): Promise<number>;
  /** Sends a signal; after SIGKILL it resolves when the process is gone. Answers the pid. */
  kill(part: string, signal?: NodeJS.Signals): Promise<number>;
  /** Waits until every instance is ready and every store healthy. */
  ready(timeoutMs?: number): Promise<DeploymentView>;
  /** A client of the shared address, or of one gateway's own, as an operator of tenant `default`. */
  connect(url?: string, options?: ConnectOptions): Promise<SocketClient>;
  /** Processes that have to do with this deployment. */
  processes(): FoundProcess[];
  /** Takes it down and removes its folder. @throws Error when `down --purge` fails or leaves a process */
  close(): Promise<void>;
}

/**
 * Starts a deployment with the real program. What a test leaves running is ended when the vitest run is over, also
 * when the run was killed (keeper.ts); nevertheless call `close`, it also checks that nothing is left behind.
 */
export async function startDeployment(options: DeploymentOptions = {}): Promise<TestDeployment> {
  const folder = await storeFolder("deployment");
  await guardFolder(folder);
  const home = join(folder, "home");
  const dataDir = join(folder, "data");
  await mkdir(home, { mode: 0o700 });
  const environment = { ...cleanEnvironment(home), ...options.env };

  const cli = (
    args: readonly string[],
    { noDataDir = false, ...more }: DeploymentCliOptions = {},
  ): Promise<CliResult> =>
    runProgram([...(noDataDir ? [] : ["--data-dir", dataDir]), ...args], {
      cwd: folder,
      ...(options.program === undefined ? {} : { program: options.program }),
      ...more,
      env: { ...environment, ...more.env },
    });

  const must = async (args: readonly string[]): Promise<CliResult> => {
    const result = await cli(args);
    if (result.exitCode === 0) return result;
    throw new Error(
      `openclaw-ha ${args.join(" ")}: exit ${result.exitCode}\n${result.stdout}${result.stderr}`,
    );
  };

  const up = async (...args: readonly string[]): Promise<DeploymentView> => {
    const sizes = [
      ...(options.gateways === undefined ? [] : ["--gateways", String(options.gateways)]),
      ...(options.workers === undefined ? [] : ["--workers", String(options.workers)]),
    ];
    const all = ["up", "v2", "--port", "0", ...sizes, ...(options.args ?? []), ...args, "--json"];
    return (await must(all)).json() as DeploymentView;
  };
  const status = async (): Promise<DeploymentView> =>
    (await must(["status", "--json"])).json() as DeploymentView;
  const env = async (): Promise<Record<string, string>> =>
    (await must(["env", "--json"])).json() as Record<string, string>;

  const pidOf = async (part: string): Promise<number> => {
    const pid = pidsOf(await status())[part];
    if (pid === undefined) throw new Error(`${part} has no process`);
    return pid;
  };

  const deployment: TestDeployment = {
    folder,
    dataDir,
    cli,
    up,
    status,
    env,
    pidOf,
    async kill(part, signal = "SIGKILL") {
      const pid = await pidOf(part);
      const identity = processIdentity(pid);
      process.kill(pid, signal);
      if (signal === "SIGKILL") {
        await until(() => processIdentity(pid) !== identity, { what: `the end of ${part} (${pid})` });
      }
      return pid;
    },
    ready: (timeoutMs = 60_000) =>
      until(
        async () => {
          const view = await status();
          return view.phase === "ready" ? view : null;
        },
        { timeoutMs, what: "a deployment that is ready", pollMs: 100 },
      ),
    async connect(url, connecting = {}) {
      const { OPENCLAW_GATEWAY_URL: shared, OPENCLAW_GATEWAY_TOKEN: token } = await env();
      return connectSocket(url ?? String(shared), { token, ...connecting });
    },
    processes: () => processesUnder(folder),
    async close() {
      const down = await cli(["down", "--purge", "--yes"]);
      const left = processesUnder(folder);
      await endAllUnder(folder);
      await rm(folder, { recursive: true, force: true, maxRetries: 3 });
      if (down.exitCode !== 0) throw new Error(`down: exit ${down.exitCode}\n${down.stderr}`);
      if (left.length > 0) {
        throw new Error(`down left ${left.map(({ pid, command }) => `${pid} ${command}`).join("; ")}`);
      }
    },
  };
  if (options.up === false) return deployment;
  try {
    await up();
    return deployment;
  } catch (error) {
    await deployment.close().catch(() => undefined);
    throw error;
  }
}

/** Every process of a deployment that is known to it, by what it is. */
export function pidsOf(view: DeploymentView): Record<string, number> {
  const instances = [...view.instances, ...(view.demoModel === null ? [] : [view.demoModel])];
  const entries: (readonly [string, number | null])[] = [
    ["supervisor", view.supervisor.pid],
    ...instances.map(({ id, pid }) => [id, pid ?? null] as const),
    ...Object.entries(view.stores).map(([name, { pid }]) => [name, pid ?? null] as const),
  ];
  return Object.fromEntries(entries.filter((entry): entry is [string, number] => entry[1] !== null));
}

/** Runs a checkout's program as a user of a shell would, with this environment and no other. */
export async function runProgram(
  args: readonly string[],
  options: CliOptions & { readonly env: Readonly<Record<string, string | undefined>> },
): Promise<CliResult> {
  const ended = await execa(options.program ?? PROGRAM, args, {
    env: options.env as Record<string, string>,
    extendEnv: false,
    cwd: options.cwd ?? "/",
    input: options.stdin ?? "",
    reject: false,
    stripFinalNewline: false,
    timeout: options.timeoutMs ?? COMMAND_TIMEOUT_MS,
    ...(options.signal === undefined ? {} : { cancelSignal: options.signal }),
    maxBuffer: 256 * 1024 * 1024,
  });
  const { stdout, stderr } = ended;
  if (ended.timedOut) throw new Error(`openclaw-ha ${args.join(" ")} did not end\n${stdout}${stderr}`);
  return {
    stdout,
    stderr,
    exitCode: ended.exitCode ?? 128,
    json: () => JSON.parse(stdout) as unknown,
    lines: () =>
      stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as Record<string, unknown>),
  };
}

/** What a login shell of a user has; nothing of the test runner's own. */
export function cleanEnvironment(home: string): Record<string, string> {
  const { PATH = "", TMPDIR } = process.env;
  return { PATH, HOME: home, LANG: "C.UTF-8", ...(TMPDIR === undefined ? {} : { TMPDIR }) };
}
