import { randomBytes } from "node:crypto";
import { type ConformanceCase, type Recording, Script, type Target } from "./script.ts";

/** Runs one case on one target. @throws Error naming the case, where it cannot be played to its end */
export async function record(target: Target, one: ConformanceCase): Promise<Recording> {
  // Random, so that a case can be played on a target again and again; of letters that no id or number contains.
  const tag = `x${randomBytes(5).toString("hex")}x`;
  const script = new Script(target, tag, one.name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-"));
  try {
    await one.run(script);
    return script.recorded;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`${one.name}, on the ${target.name} gateway: ${why}`, { cause: error });
  } finally {
    script.end();
  }
}
