import { describe, expect, it } from "vitest";
import { agentId, workerId } from "../../core/ids.ts";
import type { Grant } from "../run-ledger.ts";
import type { OpenStores } from "./store-fixture.ts";
import { message, newKey, rowText, storeWorld, textBody, unique } from "./store-world.ts";

/** RunLedger.claim: one holder, growing tokens, oldest run first, everything that the worker starts from. */
export function ledgerClaimContract(open: OpenStores): void {
  describe("claim", () => {
    it("grants the oldest queued run with everything that its worker starts from", async () => {
      const { accept, worker, claim, run, tenant, pool } = await storeWorld(open);
      const key = newKey();
      const input = {
        body: textBody("user", "what is 2 + 2?"),
        options: { thinking: "low", timeoutMs: 60_000 },
      };
      const accepted = await accept(key, { input });
      const by = await worker();
      const grant = await claim(by, key);
      expect(grant).toEqual({
        tenant,
        sessionKey: key,
        runId: accepted.runId,
        token: expect.any(Number),
        sessionId: accepted.sessionId,
        agentId: agentId("main"),
        lane: "main",
        pool,
        attempt: 1,
        failures: 0,
        input,
        acceptedAt: accepted.acceptedAt,
        startedAt: expect.any(Number),
        userRow: {
          seq: 1,
          messageId: expect.any(String),
          parentId: null,
          runId: accepted.runId,
          idempotencyKey: `${accepted.runId}:user`,
          body: input.body,
          createdAt: expect.any(Number),
        },
        headSeq: 1,
        resetSeq: 0,
        sessionModel: null,
        sessionThinking: null,
        stepsDone: 0,
        startedTools: [],
        abortRequested: false,
        collected: [],
      } satisfies Grant);
      expect(grant.token).toBeGreaterThan(0);
      expect(await run(grant.runId)).toMatchObject({
        status: "running",
        attempt: 1,
        worker: by,
        startedAt: grant.startedAt,
      });
    });

    it("writes the user's message into the transcript", async () => {
      const { accept, worker, claim, transcript } = await storeWorld(open);
      const key = newKey();
      await accept(key, { input: { body: textBody("user", "hello there"), options: {} } });
      expect(await transcript(key)).toEqual([]);
      const { userRow } = await claim(await worker(), key);
      expect(await transcript(key)).toEqual([userRow]);
      expect(rowText(userRow)).toBe("hello there");
    });

    it("carries a message that lies in object storage by its reference", async () => {
      const { accept, worker, claim } = await storeWorld(open);
      const key = newKey();
      const body = { object: { sha256: "c".repeat(64), bytes: 70_000 } };
      await accept(key, { input: { body, options: {} } });
      const grant = await claim(await worker(), key);
      expect(grant.input.body).toEqual(body);
      expect(grant.userRow.body).toEqual(body);
    });

    it("tells the session's overrides", async () => {
      const { accept, worker, claim, sessions, tenant } = await storeWorld(open);
      const key = newKey();
      await accept(key);
      await sessions.patch(tenant, key, { model: "demo/other", thinkingLevel: "high" });
      const grant = await claim(await worker(), key);
      expect(grant).toMatchObject({ sessionModel: "demo/other", sessionThinking: "high" });
    });

    it("answers empty where nothing is queued, and for a session that does not exist", async () => {
      const { accept, worker, claim, claimAs, finish } = await storeWorld(open);
      const by = await worker();
      const key = newKey();
      expect(await claimAs(by, key)).toEqual({ kind: "empty" });
      await accept(key);
      await finish(await claim(by, key));
      expect(await claimAs(by, key)).toEqual({ kind: "empty" });
    });

    it("answers busy while a live worker holds the session, also when more is queued", async () => {
      const { accept, worker, claim, claimAs } = await storeWorld(open);
      const key = newKey();
      await accept(key);
      await accept(key);
      await claim(await worker("first"), key);
      expect(await claimAs(await worker("second"), key)).toEqual({ kind: "busy" });
    });

    it("answers its holder with the same grant again", async () => {
      const { accept, worker, claim, transcript } = await storeWorld(open);
      const key = newKey();
      await accept(key);
      await accept(key);
      const by = await worker();
      const grant = await claim(by, key);
      expect(await claim(by, key)).toEqual(grant);
      expect(await transcript(key)).toHaveLength(1);
    });

    it("answers a batch in its order", async () => {
      const { accept, worker, claim, ledger, tenant } = await storeWorld(open);
      const [held, free, none] = [newKey("held"), newKey("free"), newKey("none")];
      await accept(held);
      await accept(free);
      await claim(await worker("first"), held);
      const asked = [none, free, held].map((key) => ({ tenant, sessionKey: key }));
      const answers = await ledger.claim(await worker("second"), asked);
      expect(answers.map(({ kind }) => kind)).toEqual(["empty", "granted", "busy"]);
    });

    it("grants a session to one of many that ask at the same moment", async () => {
      const { accept, worker, claimAs } = await storeWorld(open);
      const key = newKey();
      await accept(key);
      await accept(key);
      const workers = await Promise.all(Array.from({ length: 6 }, (_, i) => worker(`worker-${i}`)));
      const kinds = (await Promise.all(workers.map((by) => claimAs(by, key)))).map(({ kind }) => kind);
      expect(kinds.sort()).toEqual(["busy", "busy", "busy", "busy", "busy", "granted"]);
    });

    it("gives each grant of a session a larger token than every one before it", async () => {
      const { accept, worker, claim, finish, ledger, sessions, tenant } = await storeWorld(open);
      const key = newKey();
      const by = await worker();
      const tokens: number[] = [];
      for (let i = 0; i < 4; i++) await accept(key);
      const first = await claim(by, key);
      tokens.push(first.token);
      const second = (await finish(first)).next!;
      tokens.push(second.token);
      await ledger.release([second]);
      const again = await claim(by, key);
      tokens.push(again.token);
      await finish(again, { takeNext: false });
      tokens.push((await claim(by, key)).token);
      await sessions.delete(tenant, key);
      await accept(key);
      tokens.push((await claim(by, key)).token);
      expect(tokens).toEqual([...new Set(tokens)].sort((a, b) => a - b));
    });

    it("counts the attempts of a run and writes its user row once", async () => {
      const { accept, worker, claim, checkpoint, ledger, transcript } = await storeWorld(open);
      const key = newKey();
      await accept(key);
      const by = await worker();
      const first = await claim(by, key);
      await checkpoint(first, 1, { messages: [message("a thought")] });
      await ledger.release([first]);
      const second = await claim(by, key);
      expect(second).toMatchObject({ attempt: 2, startedAt: first.startedAt, headSeq: 2 });
      expect(second.userRow).toEqual(first.userRow);
      expect(await transcript(key)).toHaveLength(2);
    });

    it("counts the time of a run from its first attempt", async () => {
      const { accept, worker, claim, ledger, passTime } = await storeWorld(open);
      const key = newKey();
      await accept(key);
      const by = await worker();
      const first = await claim(by, key);
      await passTime(5_000);
      await ledger.release([first]);
      const second = await claim(by, key);
      expect(second.startedAt - second.acceptedAt).toBe(first.startedAt - first.acceptedAt);
    });

    it("tells a later attempt which tools had started and not ended, and how many steps are done", async () => {
      const { accept, worker, claim, checkpoint, ledger } = await storeWorld(open);
      const key = newKey();
      await accept(key);
      const by = await worker();
      const first = await claim(by, key);
      const started = (stepNo: number, toolCallId: string, idempotent: boolean) =>
        ({ kind: "tool_started", stepNo, toolCallId, toolName: `tool_${toolCallId}`, idempotent }) as const;
      await checkpoint(first, 1, { steps: [{ kind: "model", stepNo: 1 }, started(2, "a", false)] });
      await checkpoint(first, 2, {
        steps: [
          { kind: "tool_result", stepNo: 3, toolCallId: "a", isError: false },
          started(4, "b", true),
          started(5, "c", false),
        ],
      });
      await ledger.release([first]);
      expect(await claim(by, key)).toMatchObject({
        stepsDone: 5,
        startedTools: [
          { toolCallId: "b", toolName: "tool_b", idempotent: true },
          { toolCallId: "c", toolName: "tool_c", idempotent: false },
        ],
      });
    });

    it("refuses a worker that never registered or has retired", async () => {
      const { accept, worker, claimAs, ledger, run } = await storeWorld(open);
      const key = newKey();
      const { runId } = await accept(key);
      await expect(claimAs(workerId(unique("stranger")), key)).rejects.toMatchObject({ code: "LEASE_LOST" });
      const retired = await worker();
      await ledger.retireWorker(retired);
      await expect(claimAs(retired, key)).rejects.toMatchObject({ code: "LEASE_LOST" });
      expect(await run(runId)).toMatchObject({ status: "queued", attempt: 0 });
    });
  });
}
