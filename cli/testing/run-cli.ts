import { systemClock } from "../../server/adapters/system/clock.ts";
import type { StoreFacts } from "../../server/diagnosis/facts.ts";
import { seededRandom } from "../../server/testing/seeded-random.ts";
import type { TenantDirectory } from "../../server/ports/directory.ts";
import type { Environment } from "../context.ts";
import { createOutput } from "../output.ts";
import type { DeploymentPorts } from "../ports.ts";
import { runProgram } from "../program.ts";

export interface CliRun {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  /** stdout as the one JSON document that it must be. */
  readonly json: () => unknown;
  /** stdout as JSON lines. */
  readonly lines: () => unknown[];
}

export interface CliWorld {
  readonly env?: Environment;
  readonly cwd?: string;
  readonly stdin?: string;
  readonly signal?: AbortSignal;
  readonly ports?: Omit<DeploymentPorts, "close">;
  readonly directory?: TenantDirectory;
  readonly facts?: StoreFacts;
  readonly onStdout?: (chunk: string) => void;
}

/** Makes a command open the given ports: it is told of stores by its environment, and finds no deployment on disk. */
const STORES: Environment = {
  OPENCLAW_HA_DATA_DIR: "/nonexistent/openclaw-ha",
  OPENCLAW_HA_POSTGRES_URL: "postgres://nobody@127.0.0.1:1/none",
  OPENCLAW_HA_OBJECTS_DIR: "/nonexistent/objects",
};

/** Runs one command line in this process, as main.ts would. */
export async function runCli(argv: readonly string[], world: CliWorld = {}): Promise<CliRun> {
  let stdout = "";
  let stderr = "";
  const env = { ...(world.ports || world.facts || world.directory ? STORES : {}), ...world.env };
  const exitCode = await runProgram(argv, {
    version: "0.0.0-test",
    nodeVersion: "24.0.0",
    output: createOutput({
      json: argv.includes("--json"),
      env,
      stdout: {
        write(text) {
          stdout += text;
          world.onStdout?.(text);
          return true;
        },
      },
      stderr: { write: (text) => ((stderr += text), true) },
    }),
    signal: world.signal ?? new AbortController().signal,
    cwd: world.cwd ?? "/",
    env,
    stdin: (async function* () {
      yield Buffer.from(world.stdin ?? "");
    })(),
    clock: systemClock,
    random: seededRandom(3),
    exists: () => false,
    openPorts: () => {
      if (!world.ports) throw new Error("this test opens no ports");
      return Promise.resolve({ ...world.ports, close: () => Promise.resolve() });
    },
    openDirectory: () => {
      if (!world.directory) throw new Error("this test changes no tenants");
      return Promise.resolve(world.directory);
    },
    openFacts: () => {
      if (!world.facts) throw new Error("this test looks at no stores");
      return Promise.resolve(world.facts);
    },
  });
  return {
    exitCode,
    stdout,
    stderr,
    json: () => JSON.parse(stdout) as unknown,
    lines: () =>
      stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as unknown),
  };
}
