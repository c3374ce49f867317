import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { type Baseline, parseKeptRun } from "../../loadtest/result.ts";
import { HAError } from "../../server/core/errors.ts";
import type { CliContext } from "../context.ts";

/** Where a report goes, and what it is compared with. */
export interface ReportPlace {
  readonly directory: string;
  readonly baseline: Baseline | null;
}

const RESULT = "result.json";

/**
 * `--report DIR` is taken as it is. Otherwise each run has a folder of its own: in the deployment's data directory, or
 * for `--url` in `openclaw-ha-loadtest` below the working directory. Unless `--baseline` says otherwise the comparison
 * is with the last run of the same profile that lies there.
 * @throws HAError REQUEST_INVALID for a baseline that cannot be read
 */
export async function reportPlace(
  { clock, cwd, deployment }: CliContext,
  profile: string,
  flags: { readonly report?: string; readonly baseline?: string; readonly url?: string },
): Promise<ReportPlace> {
  const root =
    flags.url === undefined
      ? path.join(deployment.dataDir, "loadtest")
      : path.join(cwd, "openclaw-ha-loadtest");
  const stamp = new Date(clock.now()).toISOString().slice(0, 19).replaceAll(":", "-");
  const chosen = flags.report === undefined ? null : path.resolve(cwd, flags.report);
  const directory = chosen ?? path.join(root, `${profile}-${stamp}`);
  if (flags.baseline !== undefined) {
    return { directory, baseline: await readBaseline(path.resolve(cwd, flags.baseline)) };
  }
  const last = chosen ?? (await lastRun(root, profile));
  return { directory, baseline: last === null ? null : await oldResult(path.join(last, RESULT), profile) };
}

async function readBaseline(file: string): Promise<Baseline> {
  const text = await readFile(file, "utf8").catch((cause: NodeJS.ErrnoException) => {
    throw new HAError(
      "REQUEST_INVALID",
      `--baseline ${file} cannot be read: ${cause.code ?? cause.message}`,
      {
        hint: "give the result.json that lies beside a report",
      },
    );
  });
  return parseKeptRun(text, file);
}

/** The newest folder of the profile that holds a result: interrupted runs have none. */
async function lastRun(root: string, profile: string): Promise<string | null> {
  const entries = await readdir(root).catch((): string[] => []);
  const runs = entries.filter((entry) => entry.startsWith(`${profile}-2`)).sort();
  for (const run of runs.toReversed()) {
    const files = await readdir(path.join(root, run)).catch((): string[] => []);
    if (files.includes(RESULT)) return path.join(root, run);
  }
  return null;
}

/** Nobody asked for this comparison: what is not there, of another profile or of another release is no error. */
async function oldResult(file: string, profile: string): Promise<Baseline | null> {
  try {
    const kept = parseKeptRun(await readFile(file, "utf8"), file);
    return kept.result.profile === profile ? kept : null;
  } catch {
    return null;
  }
}
