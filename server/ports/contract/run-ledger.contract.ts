import { describe } from "vitest";
import { ledgerAcceptContract } from "./ledger-accept.contract.ts";
import { ledgerAbortContract } from "./ledger-abort.contract.ts";
import { ledgerAnswerContract } from "./ledger-answer.contract.ts";
import { ledgerClaimContract } from "./ledger-claim.contract.ts";
import { ledgerCrashContract } from "./ledger-crash.contract.ts";
import { ledgerFinishContract } from "./ledger-finish.contract.ts";
import { ledgerLimitsContract } from "./ledger-limits.contract.ts";
import { ledgerPoolsContract } from "./ledger-pools.contract.ts";
import { ledgerProgressContract } from "./ledger-progress.contract.ts";
import { ledgerQueueModesContract } from "./ledger-queue-modes.contract.ts";
import { ledgerRandomContract, type RandomRuns } from "./ledger-random.contract.ts";
import { ledgerReadContract } from "./ledger-read.contract.ts";
import { ledgerReadyContract } from "./ledger-ready.contract.ts";
import { ledgerWorkersContract } from "./ledger-workers.contract.ts";
import type { OpenStores } from "./store-fixture.ts";

/** Every promise of RunLedger, to be run on each adapter. `random` sets how long the random runs are. */
export function runLedgerContract(adapter: string, open: OpenStores, random: RandomRuns): void {
  describe(`RunLedger contract: ${adapter}`, () => {
    ledgerAcceptContract(open);
    ledgerAnswerContract(open);
    ledgerClaimContract(open);
    ledgerProgressContract(open);
    ledgerFinishContract(open);
    ledgerQueueModesContract(open);
    ledgerWorkersContract(open);
    ledgerCrashContract(open);
    ledgerAbortContract(open);
    ledgerReadyContract(open);
    ledgerReadContract(open);
    ledgerLimitsContract(open);
    ledgerPoolsContract(open);
    ledgerRandomContract(open, random);
  });
}
