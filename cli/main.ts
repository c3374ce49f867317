import { existsSync, readFileSync } from "node:fs";
import { systemClock } from "../server/adapters/system/clock.ts";
import { systemRandom } from "../server/adapters/system/random.ts";
import { createOutput } from "./output.ts";
import { runProgram } from "./program.ts";

/** Exit code of a program ended by a signal, as shells report it. */
const SIGNAL_EXIT = { SIGINT: 130, SIGTERM: 143 } as const;

const { stdin, stdout, stderr, env } = process;
const argv = process.argv.slice(2);

// The first signal asks the command to end; whoever sends a second one does not want to wait.
const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    if (interrupted.signal.aborted) process.exit(SIGNAL_EXIT[signal]);
    interrupted.abort(new DOMException(`ended by ${signal}`, "AbortError"));
  });
}

// `openclaw-ha … | head`: the reader has what it wanted, so there is nothing left to do and nothing wrong.
for (const stream of [stdout, stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
}

// Known before the command line is parsed, because errors of parsing are told in the same way.
const end = argv.indexOf("--");
const json = (end === -1 ? argv : argv.slice(0, end)).includes("--json");

const manifest: unknown = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
const exitCode = await runProgram(argv, {
  version: (manifest as { version: string }).version,
  nodeVersion: process.versions.node,
  output: createOutput({ json, stdout, stderr, env }),
  signal: interrupted.signal,
  cwd: process.cwd(),
  env,
  stdin,
  clock: systemClock,
  random: systemRandom,
  exists: existsSync,
  // The wiring knows every driver: it is loaded by the commands that need one.
  async openPorts(config, variables) {
    const { instanceLogger, openPorts } = await import("../server/wiring.ts");
    return openPorts(config, instanceLogger("cli", "silent", "stderr"), variables);
  },
  async openDirectory(adminUrl) {
    const { openOperatorDirectory } = await import("../server/wiring.ts");
    return openOperatorDirectory(adminUrl);
  },
  async openFacts(config) {
    const { openStoreFacts } = await import("../server/wiring-diagnosis.ts");
    return openStoreFacts(config, { clock: systemClock, random: systemRandom });
  },
});

// A command may leave sockets and timers behind; its answer must be out before the process goes.
stdout.write("", () => process.exit(exitCode));
