import { cpuOf, type Figures, median } from "../report.ts";
import type { Guarantees } from "./peer.ts";
import { isClean, type Verdict } from "./verdict.ts";

export interface PeerPass extends Figures {
  readonly verdict: Verdict;
}

export interface PeersDocument {
  readonly date: string;
  readonly machine: string;
  readonly command: string;
  readonly keys: number;
  readonly inFlight: number;
  readonly systems: readonly {
    readonly name: string;
    readonly setup: string;
    readonly guarantees: Guarantees;
    readonly passes: readonly PeerPass[];
    readonly ratio: number;
    readonly cpuRatio: number;
  }[];
}

/** The document as Markdown for a README. */
export function peersTable({ date, machine, command, keys, inFlight, systems }: PeersDocument): string {
  const rows = systems.map(({ name, passes, ratio, cpuRatio, guarantees }) => {
    const middle = (of: (pass: PeerPass) => number): number => median(passes.map(of));
    const held = passes.every(({ verdict }) => isClean(verdict)) ? "held" : "**broken**";
    return [
      name,
      Math.round(middle((pass) => pass.runsPerSecond)).toLocaleString("en"),
      `${ratio} ×`,
      `${middle(cpuOf)} (${cpuRatio} ×)`,
      `${middle((pass) => pass.ackMs.p50)} / ${middle((pass) => pass.ackMs.p99)}`,
      `${middle((pass) => pass.endToEndMs.p50)} / ${middle((pass) => pass.endToEndMs.p99)}`,
      held,
      guaranteesCell(guarantees),
    ];
  });
  const head = [
    "system",
    "jobs/s",
    "openclaw-ha against it",
    "CPU ms per job (its to ours)",
    "ack p50 / p99 ms",
    "end p50 / p99 ms",
    "order and effects",
    "guarantees",
  ];
  const lines = [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`);
  return [`\`${command}\`, ${date}, ${machine}; ${keys} keys, ${inFlight} jobs in flight`, "", ...lines].join(
    "\n",
  );
}

const guaranteesCell = (guarantees: Guarantees): string =>
  [
    `acknowledged ${guarantees.acknowledged}`,
    `per key: ${guarantees.perKey}`,
    `repeated: ${guarantees.repeated}`,
    `worker dies: ${guarantees.workerDies}`,
    `stale worker: ${guarantees.staleWorker}`,
    `told: ${guarantees.told}`,
  ].join("; ");
