import { createHash } from "node:crypto";
import { expect, it, onTestFinished, vi } from "vitest";
import { fakeClock } from "../testing/fake-clock.ts";
import { ACME, ACME_TOKEN, gatewayPool, OTHER_TOKEN, READER_TOKEN } from "../testing/gateway-pool.ts";
import { connectWire } from "../testing/wire-client.ts";
import { assembleGateway } from "./assemble.ts";
import { watchAccess } from "./watch-access.ts";

const idOf = (token: string): string => createHash("sha256").update(token).digest("hex");

async function setup() {
  const clock = fakeClock();
  const pool = await gatewayPool({ clock });
  const { gateway } = assembleGateway(pool.deps());
  const over = new AbortController();
  onTestFinished(() => over.abort());
  void watchAccess(gateway, over.signal);
  const [theirs, ours] = [await connectWire(gateway), await connectWire(gateway, { token: OTHER_TOKEN })];
  return { clock, gateway, pool, theirs, ours };
}

it("sends the clients of a disabled tenant away within seconds, and nobody else", async () => {
  const { clock, pool, theirs, ours } = await setup();
  await clock.advance(10_000);
  expect(theirs.closed).toBeNull();
  await pool.directory.port.setDisabled(ACME, true);
  await clock.advance(5_000);
  expect(theirs.closed).toEqual({ code: 1008, reason: "access revoked" });
  expect(ours.closed).toBeNull();
});

it("sends nobody away while the directory does not answer, and catches up afterwards", async () => {
  const { clock, pool, theirs, ours } = await setup();
  await pool.directory.port.setDisabled(ACME, true);
  pool.directory.break("before");
  await clock.advance(15_000);
  expect([theirs.closed, ours.closed]).toEqual([null, null]);
  pool.directory.mend();
  await clock.advance(5_000);
  expect(theirs.closed).not.toBeNull();
  expect(ours.closed).toBeNull();
});

it("cuts the HTTP requests of a disabled tenant that wait for runs, also where it has no other client", async () => {
  const { clock, gateway, pool, theirs, ours } = await setup();
  const cuts = [ACME_TOKEN, OTHER_TOKEN].map((token) => {
    const cut = vi.fn();
    gateway.answers.add({ tokenId: idOf(token), cut, tick: () => undefined, abandon: () => undefined });
    return cut;
  });
  for (const { connection } of [theirs, ours]) connection.ended();
  await pool.directory.port.setDisabled(ACME, true);
  await clock.advance(5_000);
  expect(cuts[0]).toHaveBeenCalledWith(expect.objectContaining({ code: "FORBIDDEN" }));
  expect(cuts[1]).not.toHaveBeenCalled();
});

it("sends away who came with a token that was revoked since, and leaves the tenant's other clients", async () => {
  const { clock, gateway, pool, theirs } = await setup();
  const reader = await connectWire(gateway, { token: READER_TOKEN, scopes: ["operator.read"] });
  await pool.directory.port.revokeTokens(ACME, { id: idOf(READER_TOKEN) });
  await clock.advance(5_000);
  expect(reader.closed).toEqual({ code: 1008, reason: "access revoked" });
  expect(theirs.closed).toBeNull();
});

it("sends away the clients of a tenant that was removed", async () => {
  const { clock, pool, theirs, ours } = await setup();
  await pool.directory.port.setDisabled(ACME, true);
  await pool.directory.port.removeTenant(ACME);
  await clock.advance(5_000);
  expect(theirs.closed).toEqual({ code: 1008, reason: "access revoked" });
  expect(ours.closed).toBeNull();
});

it("goes by limits that were set since the client connected", async () => {
  const { clock, pool, theirs, ours } = await setup();
  const send = (client: typeof theirs, key: string) =>
    client.request("chat.send", { sessionKey: key, message: "hi", idempotencyKey: key });
  expect(await send(theirs, "one")).toMatchObject({ ok: true });
  await pool.directory.port.setLimits(ACME, { requestsPerMinute: 1 });
  await clock.advance(5_000);
  expect(await send(theirs, "two")).toMatchObject({ ok: true });
  expect(await send(theirs, "three")).toMatchObject({
    ok: false,
    error: {
      code: "UNAVAILABLE",
      retryable: true,
      retryAfterMs: expect.any(Number),
      details: { reason: "tenant-requests" },
    },
  });
  expect(await send(ours, "one")).toMatchObject({ ok: true });
  await pool.directory.port.setLimits(ACME, {});
  await clock.advance(5_000);
  expect(await send(theirs, "three")).toMatchObject({ ok: true });
});
