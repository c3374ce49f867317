import { randomBytes } from "node:crypto";
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { HAError } from "../../server/core/errors.ts";
import { PRESETS } from "../commands/init.ts";
import type { CliContext } from "../context.ts";
import { requireTopology } from "../desired-topology.ts";

export interface InitRequest {
  readonly topology: string | undefined;
  readonly preset: string | undefined;
  /** Replaces a file that is there. */
  readonly force: boolean;
}

/** What `init` did. */
export interface InitReport {
  readonly file: string;
  readonly preset: string;
  readonly topology: string;
  readonly replaced: boolean;
}

/** The first line of a preset, which is right where it lies only. */
const SCHEMA = "../config/openclaw-ha.schema.json";

/**
 * Writes openclaw-ha.yaml from a preset; one that is there is replaced as a whole or not at all.
 * @throws HAError REQUEST_INVALID (2) for a preset of another topology, and where there is a file and no --force;
 *   CONFIG_INVALID (78) where it cannot be written
 */
export async function writeDeploymentFile(
  { configFile, cwd, output, projectRoot }: CliContext,
  request: InitRequest,
): Promise<InitReport> {
  const { preset, topology } = chosen(request);
  const file = configFile ?? path.join(cwd, "openclaw-ha.yaml");
  const templates = path.join(projectRoot, "templates");
  const text = await readFile(path.join(templates, "presets", `${preset}.yaml`), "utf8");
  const schema = path.join(templates, "config", path.basename(SCHEMA));
  const replaced = await write(file, text.replace(SCHEMA, schema), request.force);
  warnOfFuture(topology, output);
  return { file, preset, topology, replaced };
}

function chosen({ preset, topology }: InitRequest): { preset: string; topology: string } {
  const known = Object.entries(PRESETS);
  const wanted = topology ?? "v2";
  const found = known.find(([name, { topology: of, usual }]) =>
    preset === undefined ? of === wanted && usual : name === preset,
  );
  if (found === undefined) throw new HAError("REQUEST_INVALID", `there is no preset for ${wanted}`);
  const [name, { topology: of }] = found;
  if (topology === undefined || topology === of) return { preset: name, topology: of };
  const others = known.filter((entry) => entry[1].topology === topology).map(([other]) => other);
  throw new HAError("REQUEST_INVALID", `preset ${name} is for ${of}, not ${topology}`, {
    hint: `for ${topology} there is ${others.join(", ")}`,
  });
}

/** True where a file was replaced. Without `force` one that appears at the same moment stays as well. */
async function write(file: string, text: string, force: boolean): Promise<boolean> {
  try {
    await writeFile(file, text, { flag: "wx" });
    return false;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw notWritten(file, error);
  }
  if (!force) {
    throw new HAError("REQUEST_INVALID", `${file} is there already; nothing was written`, {
      file,
      hint: "say --force to replace it, or --config FILE to write another one",
    });
  }
  const temporary = `${file}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    await writeFile(temporary, text, { flag: "wx" });
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw notWritten(file, error);
  }
  return true;
}

const notWritten = (file: string, cause: unknown): HAError => {
  const { code } = cause as NodeJS.ErrnoException;
  return new HAError(
    "CONFIG_INVALID",
    `${file} cannot be written (${code ?? String(cause)})`,
    { file },
    { cause },
  );
};

/** A file for what this release cannot start is worth writing, but not without a word. */
function warnOfFuture(topology: string, output: CliContext["output"]): void {
  try {
    requireTopology(topology);
  } catch (error) {
    output.warning((error as Error).message);
  }
}
