import { systemClock } from "../adapters/system/clock.ts";
import { workerId } from "../core/ids.ts";
import { threadKeeper } from "../worker/keep-lease-thread.ts";
import { recordingLogger } from "./recording-logger.ts";
import { newSwitches } from "./switchable-heartbeat-link.ts";

/** A process whose event loop hangs for good once its heartbeat runs: the watchdog's test starts it. */
const keep = threadKeeper({
  clock: systemClock,
  linkModule: new URL("switchable-heartbeat-link.ts", import.meta.url).href,
  linkSettings: { switches: newSwitches() },
  watchdogMs: 2_000,
});
await keep({
  worker: workerId("worker-1.0000beef"),
  logger: recordingLogger(),
  register: () => Promise.resolve(),
  onAborts: () => {},
});
process.stdout.write("hanging\n", () => {
  for (;;) Math.random();
});
