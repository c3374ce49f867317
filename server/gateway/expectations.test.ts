import { describe, expect, it } from "vitest";
import { sessionKey } from "../core/ids.ts";
import { ACME, gatewayPool, handWorker } from "../testing/gateway-pool.ts";
import { connectWire } from "../testing/wire-client.ts";
import { assembleGateway } from "./assemble.ts";

const MAIN = "agent:main:main";

const setup = async () => {
  const pool = await gatewayPool();
  const { gateway } = assembleGateway(pool.deps());
  const client = await connectWire(gateway);
  const hand = await handWorker(pool);
  const turn = async (key: string, params: Readonly<Record<string, unknown>> = {}) => {
    const message = `question ${key}`;
    await client.ok("chat.send", { sessionKey: "main", message, idempotencyKey: key, ...params });
    await (await hand.claim(MAIN)).finish(`answer ${key}`);
    await client.end(key);
  };
  const send = async (key: string, params: Readonly<Record<string, unknown>>) => {
    const request = { sessionKey: "main", message: `question ${key}`, idempotencyKey: key, ...params };
    const answer = await client.request("chat.send", request);
    return answer.error ?? answer.payload ?? {};
  };
  const standing = async () => {
    const { sessionInfo, sessionId } = await client.ok("chat.history", { sessionKey: "main" });
    return { sessionId, leaf: (sessionInfo as { activeLeafEntryId: unknown }).activeLeafEntryId };
  };
  return { pool, gateway, client, hand, turn, send, standing };
};

const MOVED = {
  code: "INVALID_REQUEST",
  message: "active branch changed; review and retry",
  details: { reason: "active-leaf-changed" },
};

describe("chat.send with what the client believes of the session", () => {
  it("is accepted while the newest row is the one that the client shows", async () => {
    const { turn, standing, send } = await setup();
    expect(await standing()).toEqual({ sessionId: undefined, leaf: null });
    await turn("a", { expectedLeafEntryId: null });
    const { leaf } = await standing();
    expect(leaf).toBe("a:1:answer");
    expect(await send("b", { expectedLeafEntryId: leaf })).toMatchObject({ status: "started" });
  });

  it("is refused once there is a newer one, unless it names the session or steers", async () => {
    const { turn, standing, send } = await setup();
    await turn("a");
    const before = await standing();
    await turn("b");
    expect(await send("c", { expectedLeafEntryId: before.leaf })).toMatchObject(MOVED);
    expect(await send("c", { expectedLeafEntryId: null })).toMatchObject(MOVED);
    expect(await send("c", { expectedLeafEntryId: "unknown", sessionId: before.sessionId })).toMatchObject(
      MOVED,
    );
    const named = { expectedLeafEntryId: before.leaf, sessionId: before.sessionId };
    expect(await send("c", named)).toMatchObject({ status: "started" });
    expect(await send("d", { expectedLeafEntryId: null, queueMode: "steer" })).toMatchObject({ runId: "d" });
  });

  it("is refused after a reset, whatever it names", async () => {
    const { client, turn, standing, send } = await setup();
    await turn("a");
    const { leaf, sessionId } = await standing();
    await client.ok("sessions.reset", { key: "main" });
    expect(await send("b", { expectedLeafEntryId: leaf, sessionId })).toMatchObject(MOVED);
    expect(await send("b", { sessionId })).toMatchObject({ status: "started" });
  });

  it("is refused in another session than the client knew, and in an archived one", async () => {
    const { pool, client, turn, send } = await setup();
    expect(await send("a", { sessionId: "x" })).toMatchObject({
      message: `Session "${MAIN}" was deleted while starting work. Retry.`,
    });
    await turn("a");
    expect(await send("b", { sessionId: "x" })).toMatchObject({
      message: `Session "${MAIN}" changed while starting work. Retry.`,
    });
    const { session } = (await client.ok("sessions.describe", { key: "main" })) as { session: object };
    const { sessionId } = session as { sessionId: string };
    await pool.sessions.port.patch(ACME, sessionKey(MAIN), { archived: true });
    expect(await send("b", { sessionId })).toMatchObject({
      message: `Session "${MAIN}" is archived. Restore it before starting new work.`,
    });
  });

  it("is answered as it stands when it was accepted before, though it has moved the session itself", async () => {
    const { turn, send } = await setup();
    await turn("a", { expectedLeafEntryId: null });
    expect(await send("a", { expectedLeafEntryId: null })).toEqual({ runId: "a", status: "ok" });
  });
});

describe("unread sessions", () => {
  it("are those with rows that nobody has read, or that were marked", async () => {
    const { client, turn } = await setup();
    const row = async () =>
      ((await client.ok("sessions.describe", { key: "main" })) as { session: object }).session;
    const patch = (fields: object) => client.ok("sessions.patch", { key: "main", ...fields });
    await turn("a");
    expect(await row()).toMatchObject({ unread: false });
    await turn("a2");
    expect(await row()).toMatchObject({ unread: true });
    await patch({ unread: false });
    expect(await row()).toMatchObject({ unread: false });
    await turn("b");
    expect(await row()).toMatchObject({ unread: true });
    await patch({ unread: false });
    await patch({ unread: true });
    const { markedUnreadAt } = (await row()) as { markedUnreadAt: number };
    await patch({ unread: false, expectedMarkedUnreadAt: markedUnreadAt - 1 });
    expect(await row()).toMatchObject({ unread: true, markedUnreadAt });
    await patch({ unread: false, expectedMarkedUnreadAt: markedUnreadAt });
    expect(await row()).toMatchObject({ unread: false });
    const both = { key: "main", unread: false, expectedMarkedUnreadAt: null, label: "x" };
    expect((await client.request("sessions.patch", both)).error).toMatchObject({
      message: "expectedMarkedUnreadAt requires unread=false as the only mutation.",
    });
  });
});
