import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { LoadAnswer, LoadMessage, LoadRequest } from "./load-process.ts";
import { cpuSecondsByKind, type CpuSeconds } from "./process-table.ts";
import { cpuMsPerRun, type Figures, rounded, summary } from "./report.ts";

const PROGRAM = fileURLToPath(new URL("load-process.ts", import.meta.url));

export interface LoadFigures extends Figures {
  readonly runs: number;
  /** Runs that ended otherwise than with `final`. */
  readonly failed: number;
  readonly loadGeneratorCores: number;
}

/**
 * Runs a load from a process of its own.
 * @param roots processes of the measured side; what descends from them is counted as well
 * @throws Error when the generator dies, or when no run ended well
 */
export async function measureLoad(request: LoadRequest, roots: readonly number[]): Promise<LoadFigures> {
  let before: CpuSeconds = {};
  let after: CpuSeconds = {};
  const answer = await new Promise<LoadAnswer>((resolve, reject) => {
    const child = fork(PROGRAM, { stdio: ["ignore", "ignore", "inherit", "ipc"] });
    child.on("message", (message: LoadMessage) => {
      if (message.phase === "measuring") before = cpuSecondsByKind(roots);
      else {
        after = cpuSecondsByKind(roots);
        resolve(message.answer);
      }
    });
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`the load generator ended with code ${code}`)));
    child.send(request);
  });
  const { seconds, ackMs, endToEndMs, failed, cores } = answer;
  const runs = endToEndMs.length;
  if (runs === 0) throw new Error(`no run ended well: ${failed[0] ?? "no answer"}`);
  return {
    runs,
    failed: failed.length,
    runsPerSecond: rounded(runs / seconds),
    ackMs: summary(ackMs),
    endToEndMs: summary(endToEndMs),
    loadGeneratorCores: rounded(cores),
    cpuMsPerRunOf: cpuMsPerRun(before, after, runs),
  };
}
