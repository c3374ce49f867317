import { expect, it } from "vitest";
import { workerId } from "../../core/ids.ts";
import type { RunQueueSetting } from "../../ports/contract/run-queue-fixture.ts";
import { runQueueContract } from "../../ports/contract/run-queue.contract.ts";
import { fakeClock } from "../../testing/fake-clock.ts";
import { seededRandom } from "../../testing/seeded-random.ts";
import { memoryRunQueue } from "./run-queue.ts";

const open = (setting: RunQueueSetting) => {
  const clock = fakeClock();
  return { clock, queue: memoryRunQueue({ clock, random: seededRandom(1), ...setting }) };
};

runQueueContract("memory", async (setting) => {
  const { queue } = open(setting);
  return { queue, other: queue, close: () => queue.close() };
});

it("answers nothing when the wait is over", async () => {
  const { clock, queue } = open({ laneWidths: { main: 1, subagent: 1, cron: 1 } });
  const taking = queue.take(workerId("worker-1.a"), ["shared"], 1, 500);
  await clock.advance(500);
  expect(await taking).toEqual([]);
});

it("lets a waiting worker go when it is closed", async () => {
  const { queue } = open({ laneWidths: { main: 1, subagent: 1, cron: 1 } });
  const taking = queue.take(workerId("worker-1.a"), ["shared"], 1, 500);
  await queue.close();
  expect(await taking).toEqual([]);
});
