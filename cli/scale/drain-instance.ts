import { HAError } from "../../server/core/errors.ts";
import type { DeploymentView } from "../../server/supervisor/view.ts";
import type { CliContext } from "../context.ts";
import { currentView, order } from "../supervisor.ts";

/**
 * Drains one instance and waits until it is gone. Says so first where nobody of its pool would be left.
 * @throws HAError NOT_RUNNING (69), NOT_FOUND (1)
 */
export async function drainInstance(
  context: CliContext,
  instance: string,
): Promise<{ readonly instance: string; readonly state: string; readonly tookMs: number }> {
  const { clock, output, signal } = context;
  const before = await currentView(context);
  if (before.phase === "stopped") {
    throw new HAError("NOT_RUNNING", `deployment ${JSON.stringify(before.name)} does not run`, {
      hint: "start it with `openclaw-ha up`",
    });
  }
  warnOfLast(before, instance, (text) => output.warning(text));
  const startedAt = clock.monotonic();
  const progress = (text: string): void => output.progress(text);
  const after = await order(context, (supervisor) => supervisor.drain(instance, progress, signal));
  const state = after.instances.find(({ id }) => id === instance)?.state ?? "stopped";
  return { instance, state, tookMs: Math.round(clock.monotonic() - startedAt) };
}

function warnOfLast({ instances }: DeploymentView, id: string, warn: (text: string) => void): void {
  const pool = instances.find((instance) => instance.id === id)?.pool;
  const others = instances.filter(
    (other) => other.pool === pool && other.id !== id && other.state === "ready",
  );
  if (pool === undefined || others.length > 0) return;
  warn(
    `no other ${pool} is ready: what it does stands still until \`openclaw-ha up\` or \`openclaw-ha scale\``,
  );
}
