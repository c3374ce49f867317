import { Command, CommanderError } from "commander";
import { HAError } from "../server/core/errors.ts";
import { acceptCommand } from "./commands/accept.ts";
import { chaosCommand } from "./commands/chaos.ts";
import { costCommand } from "./commands/cost.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { downCommand } from "./commands/down.ts";
import { drainCommand } from "./commands/drain.ts";
import { envCommand } from "./commands/env.ts";
import { loadtestCommand } from "./commands/loadtest.ts";
import { initCommand } from "./commands/init.ts";
import { logsCommand } from "./commands/logs.ts";
import { runsCommand } from "./commands/runs.ts";
import { scaleCommand } from "./commands/scale.ts";
import { sendCommand } from "./commands/send.ts";
import { serveCommand } from "./commands/serve.ts";
import { sessionsCommand } from "./commands/sessions.ts";
import { statusCommand } from "./commands/status.ts";
import { tenantCommand } from "./commands/tenant.ts";
import { upgradeCommand } from "./commands/upgrade.ts";
import { upCommand } from "./commands/up.ts";
import type { CliContext, GlobalFlags } from "./context.ts";
import { createContext, type ContextOptions } from "./context.ts";
import { exitCodeOf } from "./output.ts";

/** Everything the program takes from its process. */
export type ProgramOptions = Omit<ContextOptions, "globals" | "setExitCode">;

/** Every command; the order is that of `--help`. Their work is imported when they run, so that help stays fast. */
const COMMANDS: readonly ((context: CliContext) => Command)[] = [
  initCommand,
  upCommand,
  downCommand,
  statusCommand,
  envCommand,
  sendCommand,
  runsCommand,
  sessionsCommand,
  scaleCommand,
  drainCommand,
  upgradeCommand,
  logsCommand,
  doctorCommand,
  chaosCommand,
  loadtestCommand,
  acceptCommand,
  tenantCommand,
  costCommand,
  serveCommand,
];

/**
 * Runs one command line (without node and script) and answers the exit code. Whatever is thrown has been told to the
 * user by then.
 */
export async function runProgram(argv: readonly string[], options: ProgramOptions): Promise<number> {
  const { version, output } = options;
  let exitCode = 0;
  // Commander writes help in pieces; with --json it is one document, as everything else.
  let help = "";
  const printHelp = (): void => output.result({ text: help.trimEnd() }, ({ text }) => text);
  const program = new Command("openclaw-ha");
  const context = createContext({
    ...options,
    globals: () => program.opts<GlobalFlags>(),
    setExitCode: (code) => void (exitCode = code),
  });
  program
    .description("runs OpenClaw for many: a gateway pool and a worker pool, any process of which may die")
    .version(version, "--version", "print the version")
    .option("--json", "print one JSON document (streams: one object a line)")
    .option("--name <name>", "which deployment of this machine (default: default)")
    .option("--data-dir <dir>", "where its files lie (default: $XDG_STATE_HOME/openclaw-ha/NAME)")
    .option("--config <file>", "topology, pools, stores and limits (default: ./openclaw-ha.yaml)")
    .configureHelp({ showGlobalOptions: true })
    .helpCommand("help [command]", "print help for a command")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void (help += text),
      // What commander has to complain about is reported below, once, in the shape of all other errors.
      writeErr: () => {},
      outputError: () => {},
    });
  for (const command of COMMANDS) program.addCommand(command(context));
  inheritSettings(program);
  if (argv.every((argument) => argument === "--json")) {
    program.outputHelp();
    printHelp();
    return 0;
  }
  try {
    await program.parseAsync(argv, { from: "user" });
    return exitCode;
  } catch (thrown) {
    if (thrown instanceof CommanderError && thrown.exitCode === 0) {
      printHelp();
      return 0;
    }
    // A command that was interrupted ends by the abort that the signal asked for: nothing is wrong then.
    if (options.signal.aborted && isAbort(thrown)) return exitCode === 0 ? 130 : exitCode;
    const error = thrown instanceof CommanderError ? usageError(thrown, program, argv) : thrown;
    output.failure(error);
    return exitCodeOf(error);
  }
}

/** Prebuilt commands do not inherit by themselves. */
function inheritSettings(parent: Command): void {
  for (const command of parent.commands) {
    command.copyInheritedSettings(parent);
    inheritSettings(command);
  }
}

const isAbort = (thrown: unknown): boolean => thrown instanceof Error && thrown.name === "AbortError";

/** Commander's complaint as one of ours: exit code 2, with the way to the right help page. */
function usageError(thrown: CommanderError, program: Command, argv: readonly string[]): HAError {
  const command = program.commands.find((candidate) => argv.includes(candidate.name()));
  const help = command === undefined ? "openclaw-ha --help" : `openclaw-ha ${command.name()} --help`;
  // `openclaw-ha runs` without a subcommand: commander would print the help as an error.
  const message =
    thrown.code === "commander.help"
      ? `openclaw-ha ${command?.name() ?? ""} needs a subcommand: ${command?.commands.map((sub) => sub.name()).join(", ")}`
      : thrown.message.replace(/^error: /, "").replace(/\n/g, " ");
  return new HAError("REQUEST_INVALID", message, { hint: `see ${help}` });
}
