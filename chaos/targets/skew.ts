import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { until } from "../../server/testing/until.ts";

/**
 * Variable that tells the preload where it is told how wrong its clock is to be. A supervisor hands on everything but
 * `OPENCLAW_HA_*`.
 */
export const SKEW_ENV = "CHAOS_SKEW_DIR";

/** Loaded into every process of the deployment ahead of the program, by NODE_OPTIONS. */
export const SKEW_PRELOAD = new URL("skewed-clock.mjs", import.meta.url).href;

/**
 * Sets the clocks of instances through files of that folder: `ID` holds milliseconds, and the instance answers with
 * `ID.told`, what its own `Date.now()` says.
 */
export const skewControl =
  (folder: string) =>
  async (id: string, byMs: number): Promise<string> => {
    const file = join(folder, id);
    await writeFile(`${file}.new`, String(byMs));
    await rename(`${file}.new`, file);
    return until(
      async () => {
        const { at, now, skew } = JSON.parse(await readFile(`${file}.told`, "utf8")) as {
          readonly skew: number;
          readonly now: number;
          readonly at: number;
        };
        return skew === byMs ? `its Date.now() is ${now - at} ms from the machine's` : null;
      },
      { timeoutMs: 10_000, what: `an answer of ${id} about its clock` },
    );
  };
