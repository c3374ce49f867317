import { describe, expect, it } from "vitest";
import { ledgerMergeLimitContract } from "../../ports/contract/ledger-queue-modes.contract.ts";
import { runLedgerContract } from "../../ports/contract/run-ledger.contract.ts";
import { newKey, storeWorld } from "../../ports/contract/store-world.ts";
import { openMemoryStores } from "./stores.fixture.ts";

runLedgerContract("memory", () => openMemoryStores(), { seeds: [1, 2, 3, 4, 5, 6, 7, 8], steps: 400 });

describe("memory run ledger", () => {
  ledgerMergeLimitContract(() => openMemoryStores(100));

  it("forgets ended runs after a month, so that its memory does not grow for ever", async () => {
    const { accept, worker, claim, finish, passTime, sweep, ledger, tenant } = await storeWorld(() =>
      openMemoryStores(),
    );
    const key = newKey();
    const [ended, open] = [await accept(key), await accept(key)];
    await finish(await claim(await worker(), key), { takeNext: false });
    await passTime(31 * 24 * 3_600_000);
    const young = await accept(key);
    await sweep();
    expect(await ledger.get(tenant, ended.runId)).toBeNull();
    expect((await ledger.list(tenant, { limit: 10 })).map(({ runId }) => runId)).toEqual([
      young.runId,
      open.runId,
    ]);
  });

  it("forgets dead workers after a day", async () => {
    const { worker, passTime, sweep, ledger, pool } = await storeWorld(() => openMemoryStores());
    const by = await worker("by");
    await passTime(11_000);
    await sweep();
    await passTime(25 * 3_600_000);
    await sweep();
    await ledger.registerWorker({ worker: by, instance: "by", pools: [pool], slots: 1 }, "absent");
    expect(await ledger.heartbeat(by, "absent")).toMatchObject({ kind: "alive" });
  });
});
