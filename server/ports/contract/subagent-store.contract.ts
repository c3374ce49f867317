import { randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import { agentId, type RunId, type SessionKey } from "../../core/ids.ts";
import { announcementId, type Subagent, subagentId, subagentSessionKey } from "../../core/subagent.ts";
import { stopSubagents } from "../../subagents/stop-subagents.ts";
import type { AcceptRequest, Grant } from "../run-ledger.ts";
import type { SpawnAnswer, SpawnRequest } from "../subagent-store.ts";
import type { OpenStores } from "./store-fixture.ts";
import { newKey, storeWorld } from "./store-world.ts";

const MAIN = agentId("main");

/** Every promise of SubagentStore, to be run on each adapter. */
export function subagentStoreContract(adapter: string, open: OpenStores): void {
  const setup = async () => {
    const world = await storeWorld(open);
    const { subagents, tenant, request } = world;
    const by = await world.worker();

    /** A run under way in a new session. */
    const parent = async (key: SessionKey = newKey("parent")): Promise<Grant> => {
      await world.accept(key);
      return world.claim(by, key);
    };
    const spawning = (
      grant: Grant,
      call: string = randomUUID(),
      over: Partial<SpawnRequest> = {},
    ): SpawnRequest => {
      const id = subagentId(tenant, grant.runId, call);
      const child: Subagent = {
        tenant,
        runId: id,
        sessionKey: subagentSessionKey(MAIN, id),
        requesterRunId: grant.runId,
        requesterKey: grant.sessionKey,
        task: "count to three",
        label: "counting",
        cleanup: "keep",
      };
      const accept = request(child.sessionKey, { runId: id, lane: "subagent" });
      return { grant, child, accept, maxDepth: 5, maxOpen: 5, ...over };
    };
    const spawn = (grant: Grant, call?: string, over?: Partial<SpawnRequest>): Promise<SpawnAnswer> =>
      subagents.spawn(spawning(grant, call, over));
    /** Spawns a child and carries it to its end. */
    const ended = async (grant: Grant, over: Partial<SpawnRequest> = {}): Promise<Subagent> => {
      const one = spawning(grant, randomUUID(), over);
      expect(await subagents.spawn(one)).toMatchObject({ kind: "spawned" });
      await world.finish(await world.claim(by, one.child.sessionKey));
      return one.child;
    };
    const telling = (child: Subagent): AcceptRequest =>
      request(child.requesterKey, { runId: announcementId(child) });
    const waiting = async (): Promise<RunId[]> =>
      (await subagents.ended(10_000))
        .filter(({ child }) => child.tenant === tenant)
        .map(({ child }) => child.runId);
    return { ...world, by, parent, spawning, spawn, ended, telling, waiting };
  };

  describe(`SubagentStore contract: ${adapter}`, () => {
    it("spawns a child in its lane, and its session knows whose it is", async () => {
      const { subagents, parent, spawning, sessions, tenant, run } = await setup();
      const grant = await parent();
      const one = spawning(grant);
      expect(await subagents.spawn(one)).toMatchObject({
        kind: "spawned",
        depth: 1,
        answer: { kind: "new", ready: { sessionKey: one.child.sessionKey, lane: "subagent" } },
      });
      expect(await sessions.get(tenant, one.child.sessionKey)).toMatchObject({
        spawnedBy: grant.sessionKey,
        spawnDepth: 1,
        label: "counting",
      });
      expect(await sessions.get(tenant, grant.sessionKey)).toMatchObject({ spawnedBy: null, spawnDepth: 0 });
      const listed = await subagents.list(tenant, { limit: 10 });
      expect(listed).toEqual([{ child: one.child, run: await run(one.child.runId) }]);
      expect(await subagents.list(tenant, { requesterKey: grant.sessionKey, limit: 10 })).toEqual(listed);
      expect(await subagents.list(tenant, { requesterKey: newKey(), limit: 10 })).toEqual([]);
    });

    it("answers the same call again with the same child, also of a later attempt and beyond the limits", async () => {
      const { subagents, parent, spawning, ledger, claim, by } = await setup();
      const grant = await parent();
      const one = spawning(grant, "call-1");
      await subagents.spawn(one);
      const again = { ...one, maxOpen: 0, maxDepth: 0 };
      expect(await subagents.spawn(again)).toMatchObject({ kind: "spawned", answer: { kind: "existing" } });
      await ledger.release([grant]);
      const next = await claim(by, grant.sessionKey);
      expect(await subagents.spawn({ ...again, grant: next })).toMatchObject({
        kind: "spawned",
        answer: { kind: "existing" },
      });
      expect(await subagents.list(grant.tenant, { limit: 10 })).toHaveLength(1);
    });

    it("spawns nothing for a run that has lost its session", async () => {
      const { parent, spawn, ledger, claim, by, tenant, subagents } = await setup();
      const grant = await parent();
      await ledger.release([grant]);
      await claim(by, grant.sessionKey);
      expect(await spawn(grant)).toEqual({ kind: "fenced" });
      expect(await subagents.list(tenant, { limit: 10 })).toEqual([]);
    });

    it("lists the sessions of a parent's children, and no others, by page", async () => {
      const { parent, spawn, sessions, tenant } = await setup();
      const [one, other] = [await parent(), await parent()];
      for (let n = 0; n < 3; n++) await spawn(one, `call-${n}`);
      await spawn(other);
      const page = await sessions.list(tenant, { spawnedBy: one.sessionKey, limit: 2 });
      expect(page).toMatchObject({ total: 3, sessions: [{ spawnedBy: one.sessionKey }, {}] });
      const rest = await sessions.list(tenant, { spawnedBy: one.sessionKey, limit: 2, offset: 2 });
      expect(new Set([...page.sessions, ...rest.sessions].map(({ key }) => key)).size).toBe(3);
      expect(await sessions.list(tenant, { spawnedBy: newKey(), limit: 2 })).toEqual({
        sessions: [],
        total: 0,
      });
    });

    it("keeps to the depth and to the number of open children", async () => {
      const { parent, spawn, spawning, subagents, claim, by, finish, sessions, tenant } = await setup();
      const grant = await parent();
      const one = spawning(grant);
      await subagents.spawn(one);
      expect(await spawn(grant, "a", { maxOpen: 1 })).toEqual({ kind: "too-many" });
      const child = await claim(by, one.child.sessionKey);
      expect(await spawn(child, "b", { maxDepth: 1 })).toEqual({ kind: "too-deep", depth: 2 });
      const grandchild = spawning(child, "c", { maxDepth: 2 });
      expect(await subagents.spawn(grandchild)).toMatchObject({ kind: "spawned", depth: 2 });
      expect(await sessions.get(tenant, grandchild.child.sessionKey)).toMatchObject({ spawnDepth: 2 });
      await finish(child);
      expect(await spawn(grant, "d", { maxOpen: 1 })).toMatchObject({ kind: "spawned" });
    });

    it("accepts nothing for a tenant that is shut out", async () => {
      const { parent, spawn, directory, tenant, subagents } = await setup();
      const grant = await parent();
      await directory.setDisabled(tenant, true);
      expect(await spawn(grant)).toEqual({ kind: "refused", reason: "tenant-disabled" });
      await directory.setDisabled(tenant, false);
      expect(await subagents.list(tenant, { limit: 10 })).toEqual([]);
    });

    it("finds a child that has ended, in whatever way, until its end is announced; once", async () => {
      const { subagents, parent, spawning, ended, telling, waiting, ledger, tenant, run } = await setup();
      const grant = await parent();
      const child = await ended(grant);
      const other = spawning(grant);
      const aborted = other.child;
      await subagents.spawn(other);
      expect(await waiting()).toEqual([child.runId]);
      await ledger.abort(tenant, { runId: aborted.runId });
      expect((await waiting()).toSorted()).toEqual([child.runId, aborted.runId].toSorted());
      const [only] = await subagents.ended(1, child);
      expect(only).toMatchObject({
        child,
        run: { status: "succeeded", result: { text: "answer" } },
        isAwaited: true,
      });
      const accept = telling(child);
      expect(await subagents.announce([{ child, accept }])).toMatchObject([{ kind: "announced" }]);
      expect(await subagents.announce([{ child, accept }])).toEqual([{ kind: "done" }]);
      expect(await run(accept.runId)).toMatchObject({ sessionKey: grant.sessionKey, status: "queued" });
      expect(await subagents.ended(1, child)).toEqual([]);
      expect(await waiting()).toEqual([aborted.runId]);
    });

    it("announces an end once however many try at the same moment", async () => {
      const { subagents, parent, ended, telling } = await setup();
      const child = await ended(await parent());
      const accept = telling(child);
      const tries = await Promise.all(
        Array.from({ length: 5 }, () => subagents.announce([{ child, accept }])),
      );
      expect(tries.flat().filter(({ kind }) => kind === "announced")).toHaveLength(1);
    });

    it("leaves an end for later where the parent's queue is full or the tenant is shut out", async () => {
      const { subagents, parent, ended, telling, waiting, directory, tenant, accept, maxQueuedPerSession } =
        await setup();
      const grant = await parent();
      const child = await ended(grant);
      for (let n = 0; n < maxQueuedPerSession; n++) await accept(grant.sessionKey);
      const announcement = { child, accept: telling(child) };
      const refused = (reason: string) => [{ kind: "refused", reason }];
      expect(await subagents.announce([announcement])).toEqual(refused("session-queue-full"));
      expect(await waiting()).toEqual([child.runId]);
      await directory.setDisabled(tenant, true);
      expect(await waiting()).toEqual([]);
      expect(await subagents.announce([announcement])).toEqual(refused("tenant-disabled"));
      await directory.setDisabled(tenant, false);
      expect(await waiting()).toEqual([child.runId]);
    });

    it("stops what a run has spawned with all that is below it, and nothing else, once", async () => {
      const { subagents, ledger, parent, spawning, claim, by, finish, tenant, run } = await setup();
      const grant = await parent();
      const opened = async (spawner: Grant) => {
        const one = spawning(spawner);
        expect(await subagents.spawn(one)).toMatchObject({ kind: "spawned" });
        return one.child;
      };
      const earlier = await opened(grant);
      await finish(grant);
      const next = await parent(grant.sessionKey);
      const child = await opened(next);
      const childGrant = await claim(by, child.sessionKey);
      const grandchild = await opened(childGrant);
      await finish(childGrant); // what has ended still leads to what is below it
      const other = await opened(await parent());
      const stop = { runId: next.runId, stopSubagents: true };
      expect(await ledger.abort(tenant, stop)).toMatchObject([{ kind: "requested" }]);
      expect(await subagents.stopping(10, tenant)).toEqual([grandchild]);
      const told: string[] = [];
      const stopped = () =>
        stopSubagents({ ledger, subagents }, (all) => void told.push(...all.map(({ kind }) => kind)), tenant);
      expect(await stopped()).toBe(1);
      expect(told).toEqual(["aborted"]);
      expect(await run(grandchild.runId)).toMatchObject({ status: "aborted" });
      for (const { runId } of [earlier, other]) expect(await run(runId)).toMatchObject({ status: "queued" });
      expect(await stopped()).toBe(0);
      const session = { sessionKey: grant.sessionKey, stopSubagents: true };
      await ledger.abort(tenant, session);
      expect(await subagents.stopping(10, tenant)).toEqual([earlier]);
      expect(await subagents.stopping(10)).toContainEqual(earlier);
    });

    it("tells nobody of the end of one that was stopped, and of none before it has been", async () => {
      const { subagents, ledger, parent, spawning, claim, by, tenant, finish, waiting } = await setup();
      const grant = await parent();
      const { child, ...one } = spawning(grant);
      await subagents.spawn({ child, ...one });
      const childGrant = await claim(by, child.sessionKey);
      await ledger.abort(tenant, { runId: grant.runId, stopSubagents: true });
      await finish(childGrant, { status: "aborted" });
      expect(await waiting()).toEqual([]);
      await subagents.stopped([child]);
      expect(await subagents.ended(1, child)).toMatchObject([{ child, isAwaited: false }]);
      expect(await subagents.announce([{ child, accept: null }])).toEqual([{ kind: "dropped" }]);
    });

    it("spawns nothing for a run that is marked as aborted", async () => {
      const { ledger, parent, spawn, subagents, tenant } = await setup();
      const grant = await parent();
      await ledger.abort(tenant, { runId: grant.runId });
      expect(await spawn(grant)).toEqual({ kind: "stopped" });
      expect(await subagents.list(tenant, { limit: 10 })).toEqual([]);
    });

    it("stops a child whichever comes first, its spawn or the stop", async () => {
      const { subagents, ledger, parent, spawning, tenant } = await setup();
      for (let n = 0; n < 10; n++) {
        const grant = await parent();
        const one = spawning(grant);
        const stop = { runId: grant.runId, stopSubagents: true };
        const [answer] = await Promise.all([subagents.spawn(one), ledger.abort(tenant, stop)]);
        await stopSubagents({ ledger, subagents }, () => undefined, tenant);
        const child = await ledger.get(tenant, one.child.runId);
        expect([answer.kind, child?.status]).toEqual(
          answer.kind === "spawned" ? ["spawned", "aborted"] : ["stopped", undefined],
        );
      }
    });

    it("tells when the parent's session is gone, and forgets an end that nobody is left to hear of", async () => {
      const { subagents, parent, ended, sessions, tenant, waiting } = await setup();
      const grant = await parent();
      const child = await ended(grant);
      await sessions.delete(tenant, grant.sessionKey);
      expect(await subagents.ended(1, child)).toMatchObject([{ isAwaited: false }]);
      expect(await subagents.announce([{ child, accept: null }])).toEqual([{ kind: "dropped" }]);
      expect(await waiting()).toEqual([]);
    });
  });
}
