import { describe, expect, it } from "vitest";
import { memoryObjectStore } from "../adapters/memory/object-store.ts";
import { tenantId } from "../core/ids.ts";
import { INLINE_BODY_MAX_BYTES, type TranscriptMessage } from "../core/transcript.ts";
import { breakable } from "../testing/breakable.ts";
import { fakeClock } from "../testing/fake-clock.ts";
import { recordingLogger } from "../testing/recording-logger.ts";
import { bodyStore } from "./body-store.ts";

const tenant = tenantId("acme");
const user = (content: string): TranscriptMessage => ({ role: "user", content, timestamp: 1 });

function setup() {
  const clock = fakeClock();
  const objects = breakable(memoryObjectStore());
  const logger = recordingLogger();
  return { clock, objects, logger, bodies: bodyStore({ objects: objects.port, clock, logger }) };
}

describe("bodies", () => {
  it("keeps small messages in the row, also where a letter takes three bytes", async () => {
    const { bodies } = setup();
    const small = user("日".repeat(Math.floor(INLINE_BODY_MAX_BYTES / 3) - 40));
    expect(await bodies.store(tenant, small)).toEqual({ inline: small });
  });

  it("moves large ones to an object first, and gets the same message back", async () => {
    const { bodies } = setup();
    const large = user("日".repeat(INLINE_BODY_MAX_BYTES / 3 + 1));
    const stored = await bodies.store(tenant, large);
    expect(stored).toMatchObject({ object: { bytes: expect.any(Number) as number } });
    expect(await bodies.load(tenant, stored)).toEqual(large);
  });

  it("keeps them inline while object storage is away, and does not ask it again for each", async () => {
    const { bodies, objects, clock } = setup();
    objects.break("before");
    const large = user("x".repeat(INLINE_BODY_MAX_BYTES + 1));
    for (let i = 0; i < 5; i++) expect(await bodies.store(tenant, large)).toEqual({ inline: large });
    expect(objects.calls).toEqual(["put"]);
    objects.mend();
    await clock.advance(6_000);
    expect(await bodies.store(tenant, large)).toHaveProperty("object");
  });

  it("does not wait for an object store that never answers", async () => {
    const clock = fakeClock();
    const hanging = { ...memoryObjectStore(), put: () => new Promise<never>(() => {}) };
    const bodies = bodyStore({ objects: hanging, clock, logger: recordingLogger() });
    const large = user("x".repeat(INLINE_BODY_MAX_BYTES + 1));
    const stored = bodies.store(tenant, large);
    await clock.advance(4_000);
    expect(await stored).toEqual({ inline: large });
    expect(clock.sleepers()).toBe(0);
  });

  it("tells a lost body from a store that is away", async () => {
    const { bodies, objects } = setup();
    const lost = { object: { sha256: "0".repeat(64), bytes: 1 } };
    await expect(bodies.load(tenant, lost)).rejects.toMatchObject({ code: "NOT_FOUND" });
    objects.break("before");
    await expect(bodies.load(tenant, lost)).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
  });
});
