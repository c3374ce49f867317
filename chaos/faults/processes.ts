import { isRunning, processIdentity } from "../../server/adapters/local/process-table.ts";
import { stateOf } from "../targets/process-tree.ts";
import type { FaultSignal } from "../targets/target.ts";
import { choose, type FaultContext, type FaultStory, pidOf, tellFault, waitFor } from "./context.ts";

/** A process that drains may take its grace before it goes. */
const GONE_WITHIN_MS = 20_000;
const BACK_WITHIN_MS = 45_000;
/** How long a deployment is left without its supervisor before somebody notices. */
const UNSUPERVISED_MS = 2_000;

/** SIGKILL or SIGTERM, to one or to all of a pool at once; over when they are back. */
export async function signalFault(
  context: FaultContext,
  id: string,
  fault: { readonly subject: string; readonly signal: Exclude<FaultSignal, "SIGCONT" | "SIGSTOP"> },
): Promise<void> {
  const kind = fault.signal === "SIGKILL" ? "kill" : "terminate";
  const subjects = await choose(context, fault.subject);
  await Promise.all(
    subjects.map((subject, i) => {
      const name = subjects.length === 1 ? id : `${id}.${i + 1}`;
      return endOne(context, tellFault(context, name, kind, subject), subject, fault.signal);
    }),
  );
}

async function endOne(
  context: FaultContext,
  story: FaultStory,
  subject: string,
  signal: "SIGKILL" | "SIGTERM",
): Promise<void> {
  const { clock, target } = context;
  const pid = await pidOf(target, subject);
  const identity = processIdentity(pid) ?? "";
  await target.signal(subject, signal);
  story.injected(`${signal} to process ${pid}`);
  const gone = await waitFor(context, () => !isRunning(pid, identity), GONE_WITHIN_MS, 5);
  if (!gone) throw new Error(`process ${pid} of ${subject} did not end`);
  story.shown(`process ${pid} is gone`);
  if (subject === "supervisor") {
    await clock.sleep(UNSUPERVISED_MS, context.signal);
    await target.restartSupervisor?.();
  }
  let back: number | null = null;
  await waitFor(
    context,
    async () => {
      back = (await target.subjects()).find((one) => one.id === subject)?.pid ?? null;
      return back !== null && back !== pid;
    },
    BACK_WITHIN_MS,
  );
  if (back !== null) story.healed(`runs again as process ${String(back)}`);
}

/** SIGSTOP, and SIGCONT after a while. */
export async function pauseFault(
  context: FaultContext,
  id: string,
  fault: { readonly subject: string; readonly forMs: number },
): Promise<void> {
  const { clock, signal, target } = context;
  const subjects = await choose(context, fault.subject);
  await Promise.all(
    subjects.map(async (subject, i) => {
      const story = tellFault(context, subjects.length === 1 ? id : `${id}.${i + 1}`, "pause", subject);
      const pid = await pidOf(target, subject);
      const identity = processIdentity(pid) ?? "";
      await target.signal(subject, "SIGSTOP");
      story.injected(`process ${pid} stopped for ${fault.forMs} ms`);
      try {
        if (!(await waitFor(context, () => stateOf(pid) === "T", 2_000)))
          throw new Error(`${pid} did not stop`);
        story.shown(`process ${pid} is in state T`);
        await clock.sleep(fault.forMs, signal);
      } finally {
        // Who hangs may have been replaced meanwhile.
        if (isRunning(pid, identity)) await target.signal(subject, "SIGCONT");
      }
      story.healed(isRunning(pid, identity) ? `process ${pid} goes on` : `process ${pid} was replaced`);
    }),
  );
}

/** Each instance of a pool in turn is drained and started again, the next one when the last is ready. */
export async function rollingRestart(
  context: FaultContext,
  id: string,
  fault: { readonly subject: "gateways" | "workers" },
): Promise<void> {
  const { signal, target } = context;
  const subjects = await choose(context, fault.subject);
  const story = tellFault(context, id, "rolling-restart", fault.subject);
  story.injected(`one after the other: ${subjects.join(", ")}`);
  const restarted: string[] = [];
  for (const subject of subjects) {
    if (signal.aborted) return;
    const pid = await pidOf(target, subject);
    const identity = processIdentity(pid) ?? "";
    await target.signal(subject, "SIGTERM");
    context.progress(`rolling-restart ${fault.subject}: ${subject} drains`);
    if (!(await waitFor(context, () => !isRunning(pid, identity), GONE_WITHIN_MS))) {
      throw new Error(`process ${pid} of ${subject} did not end`);
    }
    if (!(await waitFor(context, async () => (await target.health()).healthy, BACK_WITHIN_MS, 100))) {
      throw new Error(`${subject} did not come back`);
    }
    restarted.push(subject);
  }
  story.shown(`restarted ${restarted.join(", ")}`);
  story.healed("all are ready again");
}
