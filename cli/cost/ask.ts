import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { type CostFigures, FIGURES_FILE, parseCostFigures } from "../../loadtest/cost-figures.ts";
import { HAError } from "../../server/core/errors.ts";
import { said } from "../../server/deployment-config/choice.ts";
import { loadDeploymentFile } from "../../server/deployment-config/load.ts";
import type { CliContext } from "../context.ts";
import { compareCosts, type CostQuestion, type CostReport, DEFAULT_QUESTION } from "./model.ts";

/** Flags of `cost`; absent ones leave the number to openclaw-ha.yaml and the defaults. */
export interface CostFlags extends Partial<CostQuestion["prices"] & CostQuestion["usage"]> {
  readonly currency?: string;
  readonly figures?: string;
  readonly html?: string;
}

/**
 * Compares the topologies for the operator's numbers, and writes the page that is asked for.
 * @throws HAError CONFIG_INVALID for figures or an openclaw-ha.yaml that cannot be read, or a page that cannot be written
 */
export async function askCost(context: CliContext, flags: CostFlags): Promise<CostReport> {
  const { configFile, cwd, env, program, projectRoot } = context;
  const written = configFile === null ? null : (loadDeploymentFile(configFile, env).cost ?? null);
  const { currency, figures: named, html, ...numbers } = flags;
  const question: CostQuestion = {
    currency: currency ?? written?.currency ?? DEFAULT_QUESTION.currency,
    prices: numbersOf(DEFAULT_QUESTION.prices, written?.prices, numbers),
    usage: numbersOf(DEFAULT_QUESTION.usage, written?.usage, numbers),
  };
  const file = named === undefined ? path.join(projectRoot, FIGURES_FILE) : path.resolve(cwd, named);
  const report = compareCosts(await readFigures(file), question);
  if (html !== undefined) {
    const { costPage } = await import("./page.ts");
    const page = path.resolve(cwd, html);
    await writeFile(page, costPage(report, program)).catch((error: unknown) => {
      throw unusable(page, "cannot be written", error);
    });
    context.output.progress(`wrote ${page}`);
  }
  return report;
}

/** The strongest that says a number decides it. */
function numbersOf<T extends object>(
  defaults: T,
  written: { readonly [K in keyof T]?: T[K] | undefined } | null | undefined,
  flags: object,
): T {
  const names = Object.keys(defaults) as (keyof T & string)[];
  const known = Object.fromEntries(
    Object.entries(flags).filter(([name]) => names.includes(name as keyof T & string)),
  );
  return { ...defaults, ...said<Partial<T>>((written ?? {}) as Partial<T>), ...known };
}

async function readFigures(file: string): Promise<CostFigures> {
  try {
    return parseCostFigures(await readFile(file, "utf8"));
  } catch (error) {
    throw unusable(file, "holds no figures", error);
  }
}

const unusable = (file: string, how: string, cause: unknown): HAError =>
  new HAError(
    "CONFIG_INVALID",
    `${file} ${how}`,
    { file, hint: "`npm run bench -- cost` measures and writes them" },
    { cause },
  );
