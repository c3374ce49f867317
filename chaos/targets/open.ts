import type { Random } from "../../server/ports/random.ts";
import type { Scenario } from "../scenario.ts";
import { attachTarget } from "./attach.ts";
import { startProcessTarget } from "./process.ts";
import type { Target, TargetOptions } from "./target.ts";

export const TARGETS = ["process", "docker", "attach"] as const;
export type TargetKind = (typeof TARGETS)[number];

export interface OpenOptions extends Pick<TargetOptions, "clock" | "projectRoot" | "progress" | "env"> {
  readonly kind: TargetKind;
  /** Of the running deployment; `attach` only. */
  readonly dataDir: string;
  readonly machine: Readonly<Record<string, string | undefined>>;
  readonly random: Random;
  readonly signal: AbortSignal;
}

/** A deployment that this scenario can be run against. @throws HAError as the target's own start */
export async function openTarget({ topology, needs }: Scenario, options: OpenOptions): Promise<Target> {
  switch (options.kind) {
    case "attach":
      return attachTarget(options.dataDir);
    case "process":
      return startProcessTarget({ ...options, ...topology, needs: new Set(needs) });
    case "docker":
      break;
  }
  // Only who asks for containers needs what builds them.
  const { startDockerTarget } = await import("./docker/target.ts");
  return startDockerTarget({ ...options, ...topology, needs: new Set(needs) });
}
