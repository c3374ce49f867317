import { randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import { runId, tenantId } from "../../core/ids.ts";
import type { OpenStores } from "./store-fixture.ts";
import { message, newKey, rowText, storeWorld, unique } from "./store-world.ts";

/** RunLedger.abort and redrive: what users do to runs. */
export function ledgerAbortContract(open: OpenStores): void {
  describe("abort", () => {
    it("ends a queued run, under a token larger than any before", async () => {
      const { accept, worker, claim, ledger, tenant, run } = await storeWorld(open);
      const key = newKey();
      const { runId: id } = await accept(key);
      const grant = await claim(await worker(), key);
      await ledger.release([grant]);
      const [answer] = await ledger.abort(tenant, { runId: id });
      expect(answer).toEqual({ kind: "aborted", run: await run(id), token: expect.any(Number) });
      expect(answer).toMatchObject({
        run: { status: "aborted", result: { text: "", stopReason: "aborted" }, endedAt: expect.any(Number) },
      });
      expect(answer!.kind === "aborted" && answer!.token).toBeGreaterThan(grant.token);
    });

    it("makes a session idle whose only run it was, and the next accept readies it again", async () => {
      const { accept, ledger, tenant, readyKeys, worker, claimAs } = await storeWorld(open);
      const key = newKey();
      const { runId: id } = await accept(key);
      expect(await readyKeys()).toEqual([key]);
      await ledger.abort(tenant, { runId: id });
      expect(await readyKeys()).toEqual([]);
      expect(await claimAs(await worker(), key)).toEqual({ kind: "empty" });
      expect((await accept(key)).ready).not.toBeNull();
    });

    it("leaves a session ready where other runs are queued, and they keep their order", async () => {
      const { accept, ledger, tenant, readyKeys, worker, claim, finish } = await storeWorld(open);
      const key = newKey();
      const [a, b, c] = [await accept(key), await accept(key), await accept(key)];
      await ledger.abort(tenant, { runId: b.runId });
      expect(await readyKeys()).toEqual([key]);
      const grant = await claim(await worker(), key);
      expect(grant.runId).toBe(a.runId);
      const { next } = await finish(grant);
      expect(next?.runId).toBe(c.runId);
      expect((await finish(next!)).next).toBeNull();
    });

    it("does not fence the holder of a session by the end of a run that waits behind", async () => {
      const { accept, worker, claim, checkpoint, finish, ledger, tenant } = await storeWorld(open);
      const key = newKey();
      await accept(key);
      const waiting = await accept(key);
      const grant = await claim(await worker(), key);
      const [answer] = await ledger.abort(tenant, { runId: waiting.runId });
      // Events under a larger token would silence those of the run that goes on; under a smaller one they are dropped.
      expect(answer).toMatchObject({ kind: "aborted", token: grant.token });
      await checkpoint(grant, 1, { messages: [message("on and on")] });
      expect(await finish(grant)).toMatchObject({ next: null, ready: null });
    });

    it("marks a running run and names its worker; the run ends as its worker says", async () => {
      const { accept, worker, claim, finish, ledger, tenant, run } = await storeWorld(open);
      const key = newKey();
      await accept(key);
      const by = await worker();
      const grant = await claim(by, key);
      for (let i = 0; i < 2; i++) {
        const [answer] = await ledger.abort(tenant, { runId: grant.runId });
        expect(answer).toMatchObject({
          kind: "requested",
          worker: by,
          run: { status: "running", abortRequested: true },
        });
      }
      await finish(grant, { status: "aborted", result: { text: "half an", stopReason: "aborted" } });
      expect(await run(grant.runId)).toMatchObject({ status: "aborted", result: { text: "half an" } });
    });

    it("changes nothing about a run that has ended", async () => {
      const { accept, worker, claim, finish, ledger, tenant, run } = await storeWorld(open);
      const key = newKey();
      await accept(key);
      const grant = await claim(await worker(), key);
      await finish(grant);
      const ended = await run(grant.runId);
      expect(await ledger.abort(tenant, { runId: grant.runId })).toEqual([{ kind: "ended", run: ended }]);
      expect(await run(grant.runId)).toEqual(ended);
    });

    it("does not know a run of nobody, of another session or of another tenant", async () => {
      const { accept, ledger, tenant, directory, run } = await storeWorld(open);
      const unknown = [{ kind: "unknown" }];
      const { runId: id } = await accept(newKey());
      expect(await ledger.abort(tenant, { runId: runId(randomUUID()) })).toEqual(unknown);
      expect(await ledger.abort(tenant, { runId: id, sessionKey: newKey("other") })).toEqual(unknown);
      const other = tenantId(unique("tenant"));
      await directory.addTenant(other, "shared");
      expect(await ledger.abort(other, { runId: id })).toEqual(unknown);
      expect(await run(id)).toMatchObject({ status: "queued" });
    });

    it("reaches every open run of a session, and no other session", async () => {
      const { accept, worker, claim, finish, ledger, tenant, run, readyKeys } = await storeWorld(open);
      const [key, other] = [newKey(), newKey("other")];
      const [ended, running, first, second] = [
        await accept(key),
        await accept(key),
        await accept(key),
        await accept(key),
      ];
      const bystander = await accept(other);
      const { next } = await finish(await claim(await worker(), key));
      expect(next?.runId).toBe(running.runId);
      const answers = await ledger.abort(tenant, { sessionKey: key });
      expect(answers.map((answer) => answer.kind !== "unknown" && [answer.kind, answer.run.runId])).toEqual([
        ["requested", running.runId],
        ["aborted", first.runId],
        ["aborted", second.runId],
      ]);
      expect(await run(ended.runId)).toMatchObject({ status: "succeeded" });
      expect(await run(bystander.runId)).toMatchObject({ status: "queued" });
      expect(await readyKeys()).toEqual([other]);
      expect((await finish(next!, { status: "aborted" })).next).toBeNull();
      expect(await ledger.abort(tenant, { sessionKey: key })).toEqual([]);
    });

    it("before a reset reaches what is open, and nothing once that reset has been made", async () => {
      const { accept, ledger, sessions, tenant, run } = await storeWorld(open);
      const key = newKey();
      const old = await accept(key);
      const before = { sessionKey: key, beforeReset: "request-1" };
      expect(await ledger.abort(tenant, before)).toMatchObject([{ kind: "aborted" }]);
      await sessions.reset(tenant, key, "new", "request-1");
      const later = await accept(key);
      expect(await ledger.abort(tenant, before)).toEqual([]);
      expect(await run(old.runId)).toMatchObject({ status: "aborted" });
      expect(await run(later.runId)).toMatchObject({ status: "queued" });
      const another = await ledger.abort(tenant, { sessionKey: key, beforeReset: "request-2" });
      expect(another).toMatchObject([{ kind: "aborted", run: { runId: later.runId } }]);
      expect(await ledger.abort(tenant, { sessionKey: newKey(), beforeReset: "request-1" })).toEqual([]);
    });
  });

  describe("redrive", () => {
    it.each(["failed", "timed_out"] as const)("queues a %s run again, as if it were new", async (status) => {
      const { accept, worker, claim, finish, ledger, tenant, run, ready } = await storeWorld(open);
      const key = newKey();
      const { runId: id } = await accept(key);
      const by = await worker();
      const grant = await claim(by, key);
      const error = { kind: "model_unavailable", message: "the provider is away" };
      await finish(grant, { status, error, steps: [{ kind: "model", stepNo: 1 }] });
      expect(await ledger.redrive(tenant, id)).toEqual({ run: await run(id), ready: ready(key) });
      expect(await run(id)).toMatchObject({
        status: "queued",
        failures: 0,
        worker: null,
        startedAt: null,
        endedAt: null,
        abortRequested: false,
        result: null,
        error: null,
      });
      const again = await claim(by, key);
      expect(again).toMatchObject({ runId: id, attempt: 2, failures: 0, stepsDone: 0, startedTools: [] });
      expect(again.token).toBeGreaterThan(grant.token);
    });

    it("waits behind what the session has queued, and says its message again at that place", async () => {
      const { accept, worker, claim, finish, ledger, tenant, transcript } = await storeWorld(open);
      const key = newKey();
      const { runId: id } = await accept(key);
      const by = await worker();
      await finish(await claim(by, key), { status: "failed" });
      const second = await accept(key);
      expect(await ledger.redrive(tenant, id)).toMatchObject({ ready: null });
      const grant = await claim(by, key);
      expect(grant.runId).toBe(second.runId);
      const { next } = await finish(grant, { messages: [message("second answer")] });
      expect(next).toMatchObject({ runId: id, userRow: { seq: 4, idempotencyKey: `${id}:user` } });
      expect((await transcript(key)).map(rowText)).toEqual(["hello", "hello", "second answer", "hello"]);
      await finish(next!, { messages: [message("first answer")] });
      expect(new Set((await transcript(key)).map(({ messageId }) => messageId)).size).toBe(5);
    });

    it("takes back a run from the dead", async () => {
      const { accept, worker, claim, silence, sweep, ledger, tenant } = await storeWorld(open);
      const key = newKey();
      const { runId: id } = await accept(key);
      for (let buried = 0; buried === 0;) {
        await claim(await worker(), key);
        await silence();
        buried = (await sweep()).buried.length;
      }
      await ledger.redrive(tenant, id);
      expect(await claim(await worker(), key)).toMatchObject({ runId: id, failures: 0 });
    });

    it("makes the session anew where it was deleted meanwhile", async () => {
      const { accept, worker, claim, finish, ledger, tenant, sessions } = await storeWorld(open);
      const key = newKey();
      const { runId: id } = await accept(key);
      const by = await worker();
      await finish(await claim(by, key), { status: "failed" });
      await sessions.delete(tenant, key);
      expect((await ledger.redrive(tenant, id))?.ready).not.toBeNull();
      expect(await sessions.get(tenant, key)).toMatchObject({ activeRunId: id, messageCount: 0 });
      await finish(await claim(by, key));
    });

    it("refuses runs that are open, answered or aborted, and does not know others", async () => {
      const { accept, worker, claim, finish, ledger, tenant } = await storeWorld(open);
      const key = newKey();
      const [a, b] = [await accept(key), await accept(key)];
      const refused = { code: "TRANSITION_INVALID" };
      await expect(ledger.redrive(tenant, a.runId)).rejects.toMatchObject(refused);
      const grant = await claim(await worker(), key);
      await expect(ledger.redrive(tenant, a.runId)).rejects.toMatchObject(refused);
      await ledger.abort(tenant, { runId: b.runId });
      await finish(grant);
      await expect(ledger.redrive(tenant, a.runId)).rejects.toMatchObject(refused);
      await expect(ledger.redrive(tenant, b.runId)).rejects.toMatchObject(refused);
      expect(await ledger.redrive(tenant, runId(randomUUID()))).toBeNull();
    });
  });
}
