import { isRunning, processIdentity } from "../../server/adapters/local/process-table.ts";
import { limitCpu, limitMemory } from "./cgroup.ts";
import { choose, type FaultContext, pidOf, tellFault, waitFor } from "./context.ts";
import type { FaultSpec } from "./fault.ts";

/** A starved process gets that share of one core: enough to live, too little to keep up. */
const STARVED_SHARE = 0.05;

/** One process hardly gets to run for a while; shown by how often the kernel made it wait. */
export async function cpuStarvation(
  context: FaultContext,
  id: string,
  fault: Extract<FaultSpec, { kind: "cpu-starvation" }>,
): Promise<void> {
  for (const subject of await choose(context, fault.subject)) {
    const story = tellFault(context, id, fault.kind, subject);
    const pid = await pidOf(context.target, subject);
    const limited = limitCpu(pid, STARVED_SHARE);
    story.injected(`process ${pid} gets ${STARVED_SHARE * 100} % of a core for ${fault.forMs} ms`);
    const startedAt = context.clock.monotonic();
    try {
      if (await waitFor(context, () => limited.met() > 0, fault.forMs)) {
        story.shown(`the kernel throttled it ${limited.met()} times`);
      }
      await context.clock.sleep(startedAt + fault.forMs - context.clock.monotonic(), context.signal);
    } finally {
      limited.lift();
    }
    story.healed(`throttled ${limited.met()} times`);
  }
}

/** One process may not take more memory for a while; the kernel kills it when it wants to. */
export async function memoryLimit(
  context: FaultContext,
  id: string,
  fault: Extract<FaultSpec, { kind: "memory-limit" }>,
): Promise<void> {
  for (const subject of await choose(context, fault.subject)) {
    const story = tellFault(context, id, fault.kind, subject);
    const pid = await pidOf(context.target, subject);
    const identity = processIdentity(pid) ?? "";
    const limited = limitMemory(pid, fault.bytes);
    story.injected(`process ${pid} may take ${Math.round(fault.bytes / 1024)} KB more for ${fault.forMs} ms`);
    const killed = (): boolean => !isRunning(pid, identity);
    const startedAt = context.clock.monotonic();
    try {
      if (await waitFor(context, () => limited.met() > 0 || killed(), fault.forMs)) {
        story.shown(
          `memory was refused ${limited.met()} times${killed() ? ", and the kernel killed it" : ""}`,
        );
      }
      await context.clock.sleep(startedAt + fault.forMs - context.clock.monotonic(), context.signal);
    } finally {
      limited.lift();
    }
    story.healed(killed() ? `process ${pid} was killed by the kernel` : `refused ${limited.met()} times`);
  }
}

/** The wall clock of one instance is wrong for a while; shown by what the instance itself says. */
export async function clockSkew(
  context: FaultContext,
  id: string,
  fault: Extract<FaultSpec, { kind: "clock-skew" }>,
): Promise<void> {
  const { clock, signal, target } = context;
  if (target.skew === undefined) throw new Error("this target cannot set an instance's clock");
  for (const subject of await choose(context, fault.subject)) {
    const story = tellFault(context, id, fault.kind, subject);
    story.injected(`${fault.byMs} ms for ${fault.forMs} ms`);
    try {
      story.shown(await target.skew(subject, fault.byMs));
      await clock.sleep(fault.forMs, signal);
    } finally {
      await target.skew(subject, 0).catch(() => undefined);
    }
    story.healed("the clock is right again");
  }
}

/** The stores' disk is full for a while. */
export async function diskFull(
  context: FaultContext,
  id: string,
  fault: Extract<FaultSpec, { kind: "disk-full" }>,
): Promise<void> {
  const { clock, signal, target } = context;
  if (target.disk === undefined) throw new Error("this target has no disk of its own to fill");
  const story = tellFault(context, id, fault.kind, fault.subject);
  try {
    story.injected(`filled for ${fault.forMs} ms`);
    story.shown(await target.disk.fill());
    await clock.sleep(fault.forMs, signal);
  } finally {
    await target.disk.free();
  }
  story.healed("there is room again");
}
