import { scalingStoreContract } from "../../ports/contract/scaling-store.contract.ts";
import { fakeClock } from "../../testing/fake-clock.ts";
import { memoryScalingStore } from "./scaling-store.ts";

scalingStoreContract("memory", async () => {
  const clock = fakeClock();
  return {
    scaling: memoryScalingStore({ clock }),
    passTime: (ms) => clock.advance(ms),
    close: async () => {},
  };
});
