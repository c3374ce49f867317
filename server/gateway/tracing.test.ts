import { expect, it } from "vitest";
import type { SpanStart, Tracing } from "../ports/tracing.ts";
import { gatewayPool, handWorker } from "../testing/gateway-pool.ts";
import { connectWire } from "../testing/wire-client.ts";
import { assembleGateway } from "./assemble.ts";

const CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

it("takes the trace of a WebSocket request from its frame, and hands its own span on with the run", async () => {
  const started: SpanStart[] = [];
  const ended: (string | undefined)[] = [];
  const tracing: Tracing = {
    start: (span) => {
      started.push(span);
      return { traceparent: "of-the-gateway", set: () => undefined, end: (error) => void ended.push(error) };
    },
    close: () => Promise.resolve(),
  };
  const pool = await gatewayPool();
  const { gateway } = assembleGateway({ ...pool.deps(), tracing });
  const client = await connectWire(gateway);
  const send = (id: string, key: string, sessionKey = "main") => {
    const params = { sessionKey, message: "hi", idempotencyKey: key };
    client.raw(JSON.stringify({ type: "req", id, method: "chat.send", params, traceparent: CALLER }));
    return client.response(id);
  };
  expect(await send("one", "run-1")).toMatchObject({ ok: true });
  expect(started).toMatchObject([
    { kind: "server", parent: CALLER, attributes: { "openclaw.run": "run-1" } },
  ]);
  const { grant } = await (await handWorker(pool)).claim("agent:main:main");
  expect(grant.input.options.traceparent).toBe("of-the-gateway");
  expect(await send("two", "run-1", "other")).toMatchObject({ ok: false });
  expect(ended).toEqual([undefined, "REQUEST_CONFLICT"]);
});
