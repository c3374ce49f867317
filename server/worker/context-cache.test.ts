import { describe, expect, it } from "vitest";
import { sessionKey, tenantId } from "../core/ids.ts";
import { contextCache, type SessionContext } from "./context-cache.ts";

const [acme, other] = [tenantId("acme"), tenantId("other")];
const key = (n: number) => sessionKey(`agent:main:s${n}`);
const context = (chars: number): SessionContext => ({
  sessionId: "s",
  headSeq: 1,
  resetSeq: 0,
  history: {
    compaction: null,
    entries: [
      { seq: 1, messageId: "m1", message: { role: "user", content: "x".repeat(chars), timestamp: 0 } },
    ],
  },
});

describe("the context cache", () => {
  it("forgets the longest unused session when it is full", () => {
    const cache = contextCache(50_000);
    for (let n = 1; n <= 4; n++) cache.put(acme, key(n), context(5_000));
    expect(cache.get(acme, key(1))).toBeDefined(); // used: now 2 is the oldest
    cache.put(acme, key(5), context(5_000));
    expect([1, 2, 3, 4, 5].map((n) => cache.get(acme, key(n)) !== undefined)).toEqual([
      true,
      false,
      true,
      true,
      true,
    ]);
    expect(cache.bytes()).toBeLessThanOrEqual(50_000);
  });

  it("does not let one giant session push out the others", () => {
    const cache = contextCache(50_000);
    cache.put(acme, key(1), context(1_000));
    cache.put(acme, key(2), context(30_000));
    expect(cache.get(acme, key(1))).toBeDefined();
    expect(cache.get(acme, key(2))).toBeUndefined();
  });

  it("replaces and forgets without losing count of its size", () => {
    const cache = contextCache(50_000);
    cache.put(acme, key(1), context(1_000));
    const once = cache.bytes();
    cache.put(acme, key(1), context(1_000));
    expect(cache.bytes()).toBe(once);
    cache.forget(acme, key(1));
    cache.forget(acme, key(1));
    expect(cache.bytes()).toBe(0);
  });

  it("keeps tenants apart", () => {
    const cache = contextCache(50_000);
    cache.put(acme, key(1), context(10));
    expect(cache.get(other, key(1))).toBeUndefined();
  });
});
