import type { StoreFixture } from "../../ports/contract/store-fixture.ts";
import { fakeClock } from "../../testing/fake-clock.ts";
import { memoryCronStore } from "./cron-store.ts";
import { memoryRunLedger } from "./run-ledger.ts";
import { memorySessionStore } from "./session-store.ts";
import { memoryStoreState } from "./state.ts";
import { memorySubagentStore } from "./subagent-store.ts";
import { memoryTenantDirectory } from "./tenant-directory.ts";

/** The memory stores on a fake clock, for the contract suites. */
export async function openMemoryStores(maxQueuedPerSession = 20): Promise<StoreFixture> {
  const clock = fakeClock();
  const state = memoryStoreState({ clock });
  return {
    ledger: memoryRunLedger(state, { maxQueuedPerSession }),
    sessions: memorySessionStore(state),
    directory: memoryTenantDirectory(state),
    cron: memoryCronStore(state, maxQueuedPerSession),
    subagents: memorySubagentStore(state, maxQueuedPerSession),
    maxQueuedPerSession,
    passTime: (ms) => clock.advance(ms),
    close: async () => {},
  };
}
