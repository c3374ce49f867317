import { describe, expect, it } from "vitest";
import { findModel } from "../core/catalog.ts";
import { agentId, sessionKey } from "../core/ids.ts";
import { ACME, gatewayPool, handWorker, READER_TOKEN } from "../testing/gateway-pool.ts";
import { connectWire, type WireClient } from "../testing/wire-client.ts";
import { assembleGateway } from "./assemble.ts";

const setup = async () => {
  const pool = await gatewayPool();
  const { gateway } = assembleGateway(pool.deps());
  const client = await connectWire(gateway);
  return { pool, gateway, client, hand: await handWorker(pool) };
};

const refusal = async (client: WireClient, method: string, params: object) =>
  (await client.request(method, params)).error;

const sessionIdOf = async (client: WireClient, key: string): Promise<string> => {
  const { session } = (await client.ok("sessions.describe", { key })) as { session: { sessionId: string } };
  return session.sessionId;
};

describe("sessions.patch", () => {
  it("is a writer's, as far as it changes what a person changes while talking", async () => {
    const { gateway } = await setup();
    const writer = await connectWire(gateway, { scopes: ["operator.write"] });
    const fields = { label: "Trip", icon: "🚲", category: "fun", permissionMode: "guarded" };
    expect(await writer.ok("sessions.patch", { key: "main", ...fields })).toMatchObject({ ok: true });
    for (const admin of [{ verboseLevel: "on" }, { queueMode: "steer" }, { permissionMode: "full" }]) {
      const refused = await refusal(writer, "sessions.patch", { key: "main", ...admin });
      expect(refused).toMatchObject({ details: { missingScope: "operator.admin" } });
    }
    const reader = await connectWire(gateway, { token: READER_TOKEN });
    const refused = await refusal(reader, "sessions.patch", { key: "main", label: "Trip" });
    expect(refused).toMatchObject({ details: { missingScope: "operator.write" } });
    expect((await reader.request("sessions.patch", null)).error).toMatchObject({ code: "FORBIDDEN" });
  });

  it("changes nothing where the session is not the one that the client knew", async () => {
    const { client } = await setup();
    await client.ok("sessions.create", { key: "s" });
    const expectedSessionId = await sessionIdOf(client, "s");
    const changed = {
      code: "INVALID_REQUEST",
      message: "Session agent:main:s changed before patch. Retry.",
      details: { reason: "session-changed" },
    };
    const patch = (fields: object) => refusal(client, "sessions.patch", { key: "s", label: "x", ...fields });
    expect(await patch({ expectedSessionId: "y" })).toMatchObject(changed);
    expect(await patch({ expectedLifecycleRevision: "99" })).toMatchObject(changed);
    expect(
      await refusal(client, "sessions.patch", { key: "none", label: "x", expectedSessionId }),
    ).toMatchObject({ details: { reason: "session-changed" } });
    expect(await client.ok("sessions.describe", { key: "none" })).toEqual({ session: null });
    expect(await patch({ expectedSessionId, expectedLifecycleRevision: "1" })).toBeUndefined();
  });

  it("gives no label that another session of the agent has, nor an empty one", async () => {
    const { client } = await setup();
    await client.ok("sessions.create", { key: "a", label: " Trip " });
    await client.ok("sessions.create", { key: "b" });
    const taken = { code: "INVALID_REQUEST", message: "label already in use: Trip" };
    expect(await refusal(client, "sessions.patch", { key: "b", label: "Trip" })).toMatchObject(taken);
    expect(await refusal(client, "sessions.create", { key: "c", label: "Trip" })).toMatchObject(taken);
    expect(await client.ok("sessions.describe", { key: "c" })).toEqual({ session: null });
    expect(await refusal(client, "sessions.patch", { key: "b", label: "  " })).toMatchObject({
      message: "invalid label: empty",
    });
    expect((await client.request("sessions.create", { key: "agent:work:a", label: "Trip" })).ok).toBe(true);
  });

  it("takes the levels of thinking that the model has, by any of their names", async () => {
    const { pool, gateway, client } = await setup();
    const { catalog } = gateway;
    const patch = (thinkingLevel: string, more: object = {}) =>
      client.request("sessions.patch", { key: "s", thinkingLevel, ...more });
    expect((await patch("very")).error?.message).toBe("invalid thinkingLevel (use off)");
    expect((await patch("High")).error?.message).toBe(
      'thinkingLevel "high" is not supported for demo/one (use off)',
    );
    expect((await patch("none")).payload).toMatchObject({ entry: { thinkingLevel: "off" } });
    const models = catalog.models.map((model) => ({
      ...model,
      reasoning: model === findModel(catalog, "two"),
    }));
    const thinker = await connectWire(
      assembleGateway({ ...pool.deps(), catalog: { ...catalog, models } }).gateway,
    );
    const two = { key: "s", model: "two", thinkingLevel: "think-harder" };
    expect(await thinker.ok("sessions.patch", two)).toMatchObject({ entry: { thinkingLevel: "medium" } });
    const max = await refusal(thinker, "sessions.patch", { key: "s", thinkingLevel: "max" });
    expect(max?.message).toBe('thinkingLevel "max" is not supported for demo/two (use off|low|medium|high)');
  });

  it("archives the session that is named, ends what it does, and pins none that is put away", async () => {
    const { client } = await setup();
    const archive = (fields: object) => refusal(client, "sessions.patch", { archived: true, ...fields });
    expect((await archive({ key: "s" }))?.message).toBe("session not found: agent:main:s");
    await client.ok("chat.send", { sessionKey: "s", message: "m", idempotencyKey: "k" });
    expect((await archive({ key: "s" }))?.message).toBe(
      "expectedSessionId required for session lifecycle patch: agent:main:s",
    );
    const expectedSessionId = await sessionIdOf(client, "s");
    expect(await archive({ key: "s", expectedSessionId, pinned: true })).toMatchObject({
      message: "cannot pin an archived session; restore it first",
    });
    expect(client.chats("k", "aborted")).toHaveLength(0);
    expect(await archive({ key: "s", expectedSessionId })).toBeUndefined();
    expect(client.chats("k", "aborted")).toHaveLength(1);
    expect(await refusal(client, "sessions.patch", { key: "s", pinned: true })).toMatchObject({
      message: "cannot pin an archived session; restore it first",
    });
    const restored = { key: "s", archived: false, pinned: true, expectedSessionId };
    expect(await client.ok("sessions.patch", restored)).toMatchObject({ entry: { pinned: true } });
    await client.ok("sessions.create", { key: "main" });
    const main = { key: "main", expectedSessionId: await sessionIdOf(client, "main") };
    expect((await archive(main))?.message).toBe("Cannot archive an agent's main session.");
  });
});

describe("sessions.resolve", () => {
  it("finds a session by label and by id, of an agent and a requester where they are named", async () => {
    const { client, pool } = await setup();
    await client.ok("sessions.create", { key: "a", label: "Trip" });
    await client.ok("sessions.create", { key: "agent:work:b", label: "Trip" });
    const a = { ok: true, key: "agent:main:a", agentId: "main" };
    expect(await client.ok("sessions.resolve", { label: "Trip", agentId: "main" })).toEqual(a);
    expect(await refusal(client, "sessions.resolve", { label: "Trip" })).toMatchObject({
      message: expect.stringMatching(
        /^Multiple sessions found with label: Trip \(agent:(work:b|main:a), agent:(work:b|main:a)\)$/,
      ) as unknown,
    });
    const sessionId = await sessionIdOf(client, "a");
    expect(await client.ok("sessions.resolve", { sessionId })).toEqual(a);
    for (const selector of [{ sessionId }, { key: "a" }, { label: "Trip", agentId: "main" }]) {
      const spawned = { ...selector, spawnedBy: "main", allowMissing: true };
      expect(await client.ok("sessions.resolve", spawned)).toEqual({ ok: false });
    }
    await pool.sessions.port.patch(ACME, sessionKey("agent:main:a"), { archived: true });
    expect((await refusal(client, "sessions.resolve", { sessionId }))?.message).toBe(
      `No session found: ${sessionId}`,
    );
    expect((await refusal(client, "sessions.resolve", { label: "none" }))?.message).toBe(
      "No session found with label: none",
    );
    // A key is found wherever it is.
    expect(await client.ok("sessions.resolve", { key: "a" })).toEqual(a);
  });

  it("asks for exactly one name", async () => {
    const { client } = await setup();
    const message = "key, sessionId, label, shortId, or reference";
    expect((await refusal(client, "sessions.resolve", {}))?.message).toBe(`Either ${message} is required`);
    expect((await refusal(client, "sessions.resolve", { key: "a", label: "b" }))?.message).toBe(
      `Provide either ${message} (not multiple)`,
    );
  });
});

describe("sessions.list", () => {
  it("shows what is asked for", async () => {
    const { client, hand } = await setup();
    await client.ok("sessions.create", { key: "labelled", label: "Trip" });
    await client.ok("sessions.create", { key: "pinned", pinned: true });
    await client.ok("sessions.create", { key: "cron:job" });
    await client.ok("sessions.create", { key: "subagent:x" });
    await client.ok("chat.send", { sessionKey: "busy", message: "m", idempotencyKey: "k" });
    await hand.claim("agent:main:busy");
    const keys = async (params: object): Promise<readonly string[]> => {
      const { sessions } = (await client.ok("sessions.list", params)) as { sessions: { key: string }[] };
      return sessions.map(({ key }) => key.replace("agent:main:", "")).toSorted();
    };
    expect(await keys({})).toEqual(["busy", "cron:job", "labelled", "pinned", "subagent:x"]);
    expect(await keys({ label: "Trip" })).toEqual(["labelled"]);
    expect(await keys({ pinned: true })).toEqual(["pinned"]);
    expect(await keys({ activeOnly: true })).toEqual(["busy"]);
    expect(await keys({ excludeCron: true, excludeSubagents: true, pinned: false })).toEqual([
      "busy",
      "labelled",
    ]);
    expect(await keys({ search: "  TRIP " })).toEqual(["labelled"]);
    expect(await keys({ search: " " })).toHaveLength(5);
    expect(
      await keys({ group: "", hasBoard: false, sortBy: "activity", configuredAgentsOnly: true }),
    ).toHaveLength(5);
    // What no session here has is not found, instead of not being looked for.
    for (const absent of [
      { group: "g" },
      { hasBoard: true },
      { projectId: "p" },
      { ownerId: "o" },
      { creatorId: "c" },
    ]) {
      expect(await keys(absent)).toEqual([]);
    }
    expect((await refusal(client, "sessions.list", { sortBy: "size" }))?.message).toContain("/sortBy");
  });

  it("leaves out agents that are gone from the configuration where that is asked for", async () => {
    const { client, pool } = await setup();
    const key = sessionKey("agent:gone:x");
    await pool.sessions.port.create(ACME, {
      key,
      agentId: agentId("gone"),
      sessionId: "s",
      createdVia: "test",
    });
    expect(await client.ok("sessions.list")).toMatchObject({ count: 1 });
    expect(await client.ok("sessions.list", { configuredAgentsOnly: true })).toMatchObject({ count: 0 });
  });
});
