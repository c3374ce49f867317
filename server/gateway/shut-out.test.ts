import { expect, it, onTestFinished, vi } from "vitest";
import { fakeClock } from "../testing/fake-clock.ts";
import { ACME, gatewayPool, OTHER, OTHER_TOKEN } from "../testing/gateway-pool.ts";
import { connectWire } from "../testing/wire-client.ts";
import { assembleGateway } from "./assemble.ts";
import { shutOutDisabled } from "./shut-out.ts";

async function setup() {
  const clock = fakeClock();
  const pool = await gatewayPool({ clock });
  const { gateway } = assembleGateway(pool.deps());
  const over = new AbortController();
  onTestFinished(() => over.abort());
  void shutOutDisabled(gateway, over.signal);
  const [theirs, ours] = [await connectWire(gateway), await connectWire(gateway, { token: OTHER_TOKEN })];
  return { clock, gateway, pool, theirs, ours };
}

it("sends the clients of a disabled tenant away within seconds, and nobody else", async () => {
  const { clock, pool, theirs, ours } = await setup();
  await clock.advance(10_000);
  expect(theirs.closed).toBeNull();
  await pool.directory.port.setDisabled(ACME, true);
  await clock.advance(5_000);
  expect(theirs.closed).toEqual({ code: 1008, reason: "tenant disabled" });
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
  const cuts = [ACME, OTHER].map((tenant) => {
    const cut = vi.fn();
    gateway.answers.add({ tenant, cut, tick: () => undefined, abandon: () => undefined });
    return cut;
  });
  for (const { connection } of [theirs, ours]) connection.ended();
  await pool.directory.port.setDisabled(ACME, true);
  await clock.advance(5_000);
  expect(cuts[0]).toHaveBeenCalledWith(expect.objectContaining({ code: "FORBIDDEN" }));
  expect(cuts[1]).not.toHaveBeenCalled();
});
