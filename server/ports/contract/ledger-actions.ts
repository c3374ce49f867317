import { expect } from "vitest";
import {
  addWorker,
  aliveWorkers,
  diesOfNextLoss,
  giveBack,
  granted,
  type Holding,
  isCurrent,
  isReady,
  type LedgerModel,
  lose,
  merge,
  type ModelRun,
  takeAhead,
} from "./ledger-model.ts";
import type { QueueMode } from "../../core/queue-mode.ts";
import { message, rowText, timeless } from "./store-world.ts";

/** Picks one of a list, or undefined where it is empty. */
export type Pick = <T>(list: readonly T[]) => T | undefined;

/**
 * What can happen to a ledger. Each action does one call with what `pick` chose, says what the answer has to be by the
 * model, and moves the model on.
 */
export function ledgerActions(model: LedgerModel, pick: Pick) {
  const { world, sessions, runs, holdings } = model;
  const { ledger, tenant } = world;
  let texts = 0;
  const newText = (role: string): string => `${role} ${++texts}`;

  return {
    async accept(): Promise<void> {
      const session = pick(sessions)!;
      const text = newText("user");
      const input = { body: message(text, "user").body, options: {} };
      const queueMode: QueueMode = pick(["steer", "steer", "collect", "collect", "followup", "interrupt"])!;
      const request = world.request(session.key, { input, queueMode });
      const { held } = session;
      const becomesReady = held === null && session.queue.length === 0;
      const run: ModelRun = {
        id: request.runId,
        session,
        request,
        mode: becomesReady ? "followup" : queueMode,
        text,
        status: "queued",
        attempt: 0,
        failures: 0,
        losses: 0,
        said: false,
        endedUnder: null,
        begun: false,
        abortRequested: false,
        mergedInto: null,
      };
      const answer = await world.acceptAs(request);
      if (session.queue.length >= world.maxQueuedPerSession) {
        expect(answer).toEqual({ kind: "refused", reason: "session-queue-full" });
        return;
      }
      const interrupts = run.mode === "interrupt";
      expect(answer).toMatchObject({
        kind: "new",
        ready: becomesReady ? world.ready(session.key) : null,
        interrupted: interrupts && held ? { runId: held.run.id, worker: held.worker.id } : null,
      });
      if (interrupts) {
        for (const begun of [...(held ? [held.run] : []), ...session.queue].filter((one) => one.begun)) {
          begun.abortRequested = true;
        }
      }
      session.queue.push(run);
      runs.push(run);
    },

    async acceptAgain(): Promise<void> {
      const run = pick(runs);
      if (!run) return;
      const answer = await world.acceptAs(run.request);
      expect(answer).toMatchObject({ kind: "existing", run: { runId: run.id, status: run.status } });
    },

    async claim(): Promise<void> {
      const [worker, session] = [pick(aliveWorkers(model))!, pick(sessions)!];
      const { held } = session;
      const answer = await world.claimAs(worker.id, session.key);
      if (held && held.worker === worker) {
        expect(answer).toMatchObject({ kind: "granted", grant: { token: held.grant.token } });
        return;
      }
      if (held && (!held.worker.silent || diesOfNextLoss(held.run))) {
        expect(answer).toEqual({ kind: "busy" });
        return;
      }
      if (held) lose(session);
      if (session.queue.length === 0) {
        expect(answer).toEqual({ kind: "empty" });
        return;
      }
      expect(answer.kind).toBe("granted");
      if (answer.kind === "granted") granted(model, session, worker, answer.grant);
    },

    async claimReady(): Promise<void> {
      const worker = pick(aliveWorkers(model))!;
      const ready = sessions.filter(isReady);
      const widths = { main: sessions.length, subagent: 0, cron: 0 };
      const grants = await ledger.claimReady(worker.id, [world.pool], 1, widths);
      expect(grants).toHaveLength(Math.min(1, ready.length));
      for (const grant of grants) {
        granted(
          model,
          ready.find(({ key }) => key === grant.sessionKey)!,
          worker,
          grant,
        );
      }
    },

    async checkpoint(): Promise<void> {
      const holding = pick(holdings);
      if (!holding) return;
      const { grant, run } = holding;
      const current = isCurrent(holding);
      const text = newText("assistant");
      const no = holding.checkpointNo + 1;
      const request = { messages: [message(text)], steer: pick([true, true, false])! };
      const answer = await world.checkpointAs(grant, no, request);
      expect(answer.kind).toBe(current ? "stored" : "fenced");
      if (!current || answer.kind !== "stored") return;
      const joining = request.steer && !run.abortRequested ? takeAhead(run.session, "steer") : [];
      for (const joined of joining) merge(joined, run);
      run.session.texts.push(text, ...joining.map((joined) => joined.text));
      run.failures = 0;
      holding.checkpointNo = no;
      holding.last = { request, steered: answer.steered };
      const { abortRequested } = run;
      expect(answer).toMatchObject({ headSeq: run.session.texts.length, abortRequested });
      expect(answer.steered.map(({ runId, row }) => [runId, rowText(row)])).toEqual(
        joining.map((joined) => [joined.id, joined.text]),
      );
    },

    async checkpointAgain(): Promise<void> {
      const holding = pick(holdings.filter((one) => isCurrent(one) && one.last !== null));
      if (!holding?.last) return;
      const { request, steered } = holding.last;
      const answer = await world.checkpoint(holding.grant, holding.checkpointNo, request);
      expect(answer.steered.map(({ row }) => timeless(row))).toEqual(steered.map(({ row }) => timeless(row)));
    },

    async finish(): Promise<void> {
      const holding = pick(holdings);
      if (!holding) return;
      const { grant, run, worker } = holding;
      const { session } = run;
      // What a lost worker gets for asking for more is its adapter's business: it cannot keep it.
      const takeNext = !worker.silent && pick([true, true, false])!;
      const status = pick(["succeeded", "failed"] as const)!;
      if (!isCurrent(holding)) {
        const answer = await world.finishAs(grant, { takeNext, status });
        expect(answer.kind).toBe(run.endedUnder === grant.token ? "finished" : "fenced");
        return;
      }
      const text = newText("assistant");
      const { next, ready } = await world.finish(grant, { takeNext, status, messages: [message(text)] });
      session.texts.push(text);
      run.status = status;
      run.endedUnder = grant.token;
      session.held = null;
      const takes = takeNext && session.queue.length > 0;
      expect(next !== null).toBe(takes);
      if (next) granted(model, session, worker, next);
      expect(ready).toEqual(isReady(session) ? world.ready(session.key) : null);
    },

    async release(): Promise<void> {
      const holding = pick(holdings.filter(isCurrent));
      if (!holding) return;
      const { session } = holding.run;
      expect(await ledger.release([holding.grant])).toEqual([world.ready(session.key)]);
      giveBack(session);
    },

    async crash(): Promise<void> {
      const worker = pick(aliveWorkers(model))!;
      worker.silent = true;
      await addWorker(model);
      await world.silence(...aliveWorkers(model).map(({ id }) => id));
    },

    async retire(): Promise<void> {
      const worker = pick(aliveWorkers(model))!;
      const held = sessions.filter((session) => session.held?.worker === worker);
      const readied = await ledger.retireWorker(worker.id);
      expect(readied.map(({ sessionKey }) => sessionKey).sort()).toEqual(held.map(({ key }) => key).sort());
      for (const session of held) giveBack(session);
      worker.silent = true;
      await addWorker(model);
    },

    async sweep(): Promise<void> {
      const lost = sessions.filter(({ held }) => held?.worker.silent);
      const report = await world.sweep();
      const buried = lost.filter(lose).length;
      expect(report.buried).toHaveLength(buried);
      for (const { run, token } of report.buried) {
        const { status, session } = runs.find(({ id }) => id === run.runId)!;
        expect(status).toBe("dead");
        expect(token).toBeGreaterThan(session.newestToken);
        session.newestToken = token;
      }
      const readied = lost.filter(isReady).map(({ key }) => key);
      expect(report.readied.map(({ sessionKey }) => sessionKey).sort()).toEqual(readied.sort());
    },

    async abort(): Promise<void> {
      const run = pick(runs);
      if (!run) return;
      const [answer] = await ledger.abort(tenant, { runId: run.id });
      if (run.status === "queued") {
        const { session } = run;
        expect(answer).toMatchObject({ kind: "aborted", run: { runId: run.id, status: "aborted" } });
        const token = answer?.kind === "aborted" ? answer.token : 0;
        if (session.held) expect(token).toBe(session.newestToken);
        else expect(token).toBeGreaterThan(session.newestToken);
        session.newestToken = token;
        session.queue.splice(session.queue.indexOf(run), 1);
        run.status = "aborted";
        run.abortRequested = true;
      } else {
        expect(answer).toMatchObject({ kind: run.status === "running" ? "requested" : "ended" });
        if (run.status === "running") run.abortRequested = true;
      }
    },

    async redrive(): Promise<void> {
      const run = pick(runs.filter(({ status }) => status === "failed" || status === "dead"));
      if (!run) return;
      const becomesReady = run.session.held === null && run.session.queue.length === 0;
      const answer = await ledger.redrive(tenant, run.id);
      expect(answer?.run).toMatchObject({ status: "queued", failures: 0 });
      expect(answer?.ready !== null).toBe(becomesReady);
      const anew = {
        failures: 0,
        losses: 0,
        said: false,
        endedUnder: null,
        begun: false,
        abortRequested: false,
      };
      Object.assign(run, { status: "queued", ...anew });
      run.session.queue.push(run);
    },
  };
}

/** Nothing crashes any more, and a sweep has found what did: every run that is still open has to end. */
export async function drain(model: LedgerModel): Promise<void> {
  const { world, sessions } = model;
  const worker = aliveWorkers(model)[0]!;
  for (const session of sessions) {
    if (session.held) {
      expect(await world.ledger.release([session.held.grant])).toHaveLength(1);
      giveBack(session);
    }
    if (session.queue.length === 0) continue;
    let holding: Holding | null = granted(model, session, worker, await world.claim(worker.id, session.key));
    while (holding) {
      const { next } = await world.finish(holding.grant);
      holding.run.status = "succeeded";
      session.held = null;
      holding = next && granted(model, session, worker, next);
    }
  }
}
