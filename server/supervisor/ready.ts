import { HOPELESS_CRASHES } from "../adapters/process/provisioner.ts";
import type { ProcessProvisioner } from "../adapters/process/provisioner.ts";
import { HAError } from "../core/errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { InstanceView } from "../ports/provisioner.ts";
import type { Progress } from "./contract.ts";

/** Longest without any instance getting ready before `up` gives up. */
const READY_TIMEOUT_MS = 60_000;
/** Exit code of an instance that refuses its configuration: it would refuse it again. */
const CONFIG_EXIT = 78;

/**
 * Resolves when every instance is ready, telling how many are.
 * @throws HAError saying which instance does not come up and what it printed; the signal's reason when it aborts
 */
export async function untilReady(
  provisioner: ProcessProvisioner,
  clock: Clock,
  progress: Progress,
  giveUp: AbortSignal,
): Promise<void> {
  const aborted = new Promise<void>((resolve) => {
    giveUp.addEventListener("abort", () => resolve(), { once: true });
  });
  let told = "";
  let deadline = clock.monotonic() + READY_TIMEOUT_MS;
  for (;;) {
    giveUp.throwIfAborted();
    const changed = provisioner.changed();
    const instances = await provisioner.list();
    const waiting = instances.filter(({ state }) => state !== "ready");
    const text = `instances ready: ${instances.length - waiting.length} of ${instances.length}`;
    if (text !== told) {
      progress(text);
      told = text;
      deadline = clock.monotonic() + READY_TIMEOUT_MS;
    }
    if (waiting.length === 0) return;
    const hopeless = provisioner
      .troubles()
      .find(({ crashes, exit }) => crashes >= HOPELESS_CRASHES || exit?.code === CONFIG_EXIT);
    if (hopeless !== undefined) throw crashed(hopeless);
    const left = deadline - clock.monotonic();
    if (left <= 0) throw notReady(waiting);
    const waited = new AbortController();
    await Promise.race([changed, aborted, clock.sleep(left, waited.signal)]);
    waited.abort();
  }
}

function crashed(trouble: ReturnType<ProcessProvisioner["troubles"]>[number]): HAError {
  const { id, crashes, error, exit, output } = trouble;
  const cause = error instanceof Error ? error.message : "it could not be started";
  const how = exit?.signal ?? (exit === null ? cause : `exit code ${exit.code ?? "unknown"}`);
  const times = crashes === 1 ? "ended at its start" : `ended ${crashes} times in a row`;
  const code = exit?.code === CONFIG_EXIT ? "CONFIG_INVALID" : "STORE_UNAVAILABLE";
  return new HAError(code, `${id} ${times} (${how})`, {
    instance: id,
    problems: output.trim().split("\n").slice(-5),
    hint: `see \`openclaw-ha logs ${id}\``,
  });
}

const notReady = (waiting: readonly InstanceView[]): HAError =>
  new HAError("STORE_UNAVAILABLE", `not ready in time: ${waiting.map(({ id }) => id).join(", ")}`, {
    instances: waiting.map(({ id }) => id),
    hint: `see \`openclaw-ha logs ${waiting[0]?.id ?? ""}\``,
  });
