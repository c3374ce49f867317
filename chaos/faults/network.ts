import type { Link, LinkStats } from "../targets/target.ts";
import type { FaultSpec } from "./fault.ts";
import { choose, type FaultContext, tellFault, waitFor } from "./context.ts";

type NetworkFault = Extract<FaultSpec, { kind: "latency" | "rate" | "black-hole" | "slow-close" }>;

/** How long it may take until traffic meets a fault, at most. */
const MET_WITHIN_MS = 10_000;

/** Something is wrong with the network to a store or a gateway for a while; shown by what the proxy has counted. */
export async function networkFault(context: FaultContext, id: string, fault: NetworkFault): Promise<void> {
  const subjects = await choose(context, fault.subject);
  await Promise.all(
    subjects.map(async (subject, i) => {
      const link = linkOf(context, subject);
      const story = tellFault(context, subjects.length === 1 ? id : `${id}.${i + 1}`, fault.kind, subject);
      const before = link.stats();
      const met = (now: LinkStats): string | null =>
        fault.kind === "slow-close"
          ? now.slowCloses > before.slowCloses
            ? `${now.slowCloses - before.slowCloses} closes delayed`
            : null
          : now.held > before.held
            ? `${now.held - before.held} bytes held on ${now.connections} connections`
            : null;
      apply(link, fault);
      story.injected(`${describe(fault)} for ${fault.forMs} ms`);
      const startedAt = context.clock.monotonic();
      try {
        // A close comes only where somebody closes: connections are asked to.
        if (fault.kind === "slow-close") await provokeCloses(context, subject);
        const seen = await waitFor(
          context,
          () => met(link.stats()) !== null,
          Math.min(fault.forMs, MET_WITHIN_MS),
        );
        if (seen) story.shown(met(link.stats()) ?? "");
        await context.clock.sleep(startedAt + fault.forMs - context.clock.monotonic(), context.signal);
      } finally {
        link.heal();
      }
      story.healed(met(link.stats()) ?? "nothing met it");
    }),
  );
}

/** Resets every connection that is open, several times. */
export async function resetFault(
  context: FaultContext,
  id: string,
  fault: Extract<FaultSpec, { kind: "reset" }>,
): Promise<void> {
  const subjects = await choose(context, fault.subject);
  await Promise.all(
    subjects.map(async (subject, i) => {
      const link = linkOf(context, subject);
      const story = tellFault(context, subjects.length === 1 ? id : `${id}.${i + 1}`, "reset", subject);
      const before = link.stats().resets;
      for (let n = 1; n <= fault.times && !context.signal.aborted; n++) {
        link.reset();
        if (n === 1) {
          story.injected(`every connection, ${fault.times} times, each ${fault.everyMs} ms after the last`);
          if (link.stats().resets > before) story.shown(`${link.stats().resets - before} connections reset`);
        }
        if (n < fault.times) await context.clock.sleep(fault.everyMs, context.signal);
      }
      const resets = link.stats().resets - before;
      story.healed(`${resets} connections were reset`);
    }),
  );
}

/** @throws Error where the target has no link there */
function linkOf({ target }: FaultContext, subject: string): Link {
  const link = target.link(subject);
  if (link === null)
    throw new Error(`the network to ${subject} cannot be broken: the wiring is not \`proxied\``);
  return link;
}

function apply(link: Link, fault: NetworkFault): void {
  switch (fault.kind) {
    case "latency":
      return link.latency(fault.ms, fault.jitterMs);
    case "rate":
      return link.rate(fault.bytesPerSecond);
    case "black-hole":
      return link.blackHole(fault.direction);
    case "slow-close":
      return link.slowClose(fault.ms);
  }
}

/** Has a gateway or a worker close its connections, by ending it in good order. */
async function provokeCloses({ target }: FaultContext, subject: string): Promise<void> {
  const closer = subject.startsWith("gateway-") ? subject : "gateway-1";
  await target.signal(closer, "SIGTERM");
}

function describe(fault: NetworkFault): string {
  switch (fault.kind) {
    case "latency":
      return `${fault.ms} ms each way${fault.jitterMs > 0 ? `, up to ${fault.jitterMs} ms more` : ""}`;
    case "rate":
      return `${fault.bytesPerSecond} bytes a second`;
    case "black-hole":
      return fault.direction === "both" ? "nothing passes" : `no ${fault.direction} pass`;
    case "slow-close":
      break;
  }
  return `closes arrive ${fault.ms} ms late`;
}
