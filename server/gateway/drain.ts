import type { GatewayContext } from "./context.ts";
import { restarting } from "./protocol/errors.ts";
import { openEvent } from "./protocol/frames.ts";

/** Time over which connections are sent away, so that the other gateways are not stormed. */
const SPREAD_MS = 1_000;
/** What clients are told of when to expect a gateway again: the others are there already. */
const RESTART_EXPECTED_MS = 1_000;
/** How long the answers under way and then the closing handshakes may take. */
const ANSWERS_MS = 5_000;
const GOODBYES_MS = 2_000;
/** Connections sent away in one step. */
const STEP_MS = 25;

/**
 * Empties a gateway that takes no more work: waits for the sends under way, tells every client `shutdown`, and closes
 * the connections with 1012, spread at random. Runs go on in the workers; their clients hear the rest elsewhere. HTTP
 * requests have some seconds to be answered; what is cut then is told to come again.
 */
export async function drainGateway(gateway: GatewayContext): Promise<void> {
  const { acceptor, clock, limits, random, connections, settings, logger } = gateway;
  logger.info("gateway.draining", { connections: connections.size, sends: acceptor.pending() });
  const patience = new AbortController();
  await Promise.race([acceptor.settled(), clock.sleep(ANSWERS_MS, patience.signal)]);
  patience.abort();
  const answered = gateway.answers.drain(clock, limits.httpDrainMs, restarting());

  const shutdown = openEvent("shutdown", {
    reason: "gateway restarting",
    restartExpectedMs: RESTART_EXPECTED_MS,
  });
  const leaving = [...connections];
  for (const connection of leaving) if (connection.connected) connection.outbox.event(shutdown, false);

  const spreadMs = settings.drainSpreadMs ?? SPREAD_MS;
  const order = leaving
    .map((connection) => ({ connection, atMs: random.float() * spreadMs }))
    .sort((a, b) => a.atMs - b.atMs);
  let passedMs = 0;
  for (const { connection, atMs } of order) {
    while (atMs > passedMs) {
      await clock.sleep(STEP_MS);
      passedMs += STEP_MS;
    }
    connection.close(1012, "service restart");
  }
  for (let waitedMs = 0; connections.size > 0 && waitedMs < GOODBYES_MS; waitedMs += STEP_MS) {
    await clock.sleep(STEP_MS);
  }
  await answered;
}
