import { describe } from "vitest";
import { sessionCompactionContract } from "./session-compaction.contract.ts";
import { sessionLargeBodyContract } from "./session-large-body.contract.ts";
import { sessionListContract } from "./session-list.contract.ts";
import { sessionRecordContract } from "./session-record.contract.ts";
import { sessionSealContract } from "./session-seal.contract.ts";
import { sessionTranscriptContract } from "./session-transcript.contract.ts";
import type { OpenStores } from "./store-fixture.ts";

/** Every promise of SessionStore, to be run on each adapter together with its ledger. */
export function sessionStoreContract(adapter: string, open: OpenStores): void {
  describe(`SessionStore contract: ${adapter}`, () => {
    sessionRecordContract(open);
    sessionListContract(open);
    sessionTranscriptContract(open);
    sessionSealContract(open);
    sessionLargeBodyContract(open);
    sessionCompactionContract(open);
  });
}
