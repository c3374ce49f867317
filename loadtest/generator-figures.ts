import type { CpuUse } from "./cpu-watch.ts";
import type { GeneratorFigures } from "./result.ts";
import { formatMs } from "./report/scale.ts";
import { GENERATOR_LIMITS } from "./slos.ts";
import type { Percentiles } from "./verdict.ts";

/** What the load generator and its neighbours took, and whether that spoils the times of the run. */
export function generatorFigures(lagMs: Percentiles, cpu: CpuUse | null): GeneratorFigures {
  const shareOf = (seconds: number | null): number | null =>
    cpu === null || seconds === null
      ? null
      : Math.round((seconds / (cpu.seconds * cpu.cores)) * 1_000) / 1_000;
  const machineShare = shareOf(cpu?.generator ?? null);
  const others =
    cpu === null || cpu.deployment === null ? null : cpu.machine - cpu.generator - cpu.deployment;
  const othersShare = shareOf(others === null ? null : Math.max(0, others));
  return {
    lagMs,
    cpu,
    machineShare,
    othersShare,
    suspicion: suspicionOf(lagMs.p99, machineShare, othersShare),
  };
}

function suspicionOf(lagP99: number | null, own: number | null, others: number | null): string | null {
  const percent = (share: number): string => `${Math.round(share * 100)} %`;
  const reasons: string[] = [];
  // Neighbours first: a generator that they starve is late as well.
  if (others !== null && others > GENERATOR_LIMITS.othersShare) {
    reasons.push(`programs that have nothing to do with the test took ${percent(others)} of the machine`);
  }
  if (own !== null && own > GENERATOR_LIMITS.machineShare) {
    reasons.push(`the load generator took ${percent(own)} of the machine that the service runs on`);
  }
  if (lagP99 !== null && lagP99 > GENERATOR_LIMITS.lagP99Ms) {
    reasons.push(`one message in a hundred left the load generator more than ${formatMs(lagP99)} late`);
  }
  return reasons.length === 0 ? null : reasons.join("; ");
}
