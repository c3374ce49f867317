import { expect, it } from "vitest";
import { eventBusContract } from "../../ports/contract/event-bus.contract.ts";
import { writer } from "../../ports/contract/event-follower.ts";
import { fakeClock } from "../../testing/fake-clock.ts";
import { recordingLogger } from "../../testing/recording-logger.ts";
import { memoryEventBus } from "./event-bus.ts";

const HISTORY_ENTRIES = 50;

eventBusContract("memory", async () => {
  const bus = memoryEventBus({
    clock: fakeClock(),
    logger: recordingLogger(),
    historyEntries: HISTORY_ENTRIES,
  });
  return { bus, other: bus, historyEntries: HISTORY_ENTRIES, close: () => bus.close() };
});

it("drops the history of a session that has been quiet for long enough, and no other", async () => {
  const clock = fakeClock();
  const bus = memoryEventBus({ clock, logger: recordingLogger(), historyMs: 1_000 });
  const [quiet, busy] = [writer({ tenant: "acme" }), writer({ tenant: "globex" })];
  const kept = ({ tenant, sessionKey, runId } = quiet.at(1)) => bus.replay(tenant, sessionKey, runId, 0);
  await bus.publish(quiet.range(1, 2));
  await bus.publish(busy.range(1, 2));
  await clock.advance(600);
  await bus.publish(busy.range(3, 4));
  await clock.advance(600);
  expect(await kept()).toBeNull();
  expect(await kept(busy.at(1))).toEqual(busy.range(1, 4));
});
