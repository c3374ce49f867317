import { randomUUID } from "node:crypto";
import { describe, expect, it, onTestFinished } from "vitest";
import { tenantId } from "../../core/ids.ts";
import type { RateLimiter } from "../rate-limiter.ts";

export interface RateLimiterFixture {
  /** As two gateways see it: the same buckets where the adapter shares them, else the same limiter twice. */
  readonly limiters: readonly [RateLimiter, RateLimiter];
  readonly passTime: (ms: number) => Promise<void>;
}

/** Every promise of RateLimiter, to be run on each adapter. */
export function rateLimiterContract(adapter: string, open: () => Promise<RateLimiterFixture>): void {
  const opened = async () => {
    const { limiters, passTime } = await open();
    onTestFinished(async () => void (await Promise.all(limiters.map((limiter) => limiter.close()))));
    return { one: limiters[0], two: limiters[1], passTime, tenant: tenantId(`t-${randomUUID()}`) };
  };
  const allowed = { kind: "allowed" };

  describe(`RateLimiter contract: ${adapter}`, () => {
    it("allows what is not limited", async () => {
      const { one, tenant } = await opened();
      for (let i = 0; i < 50; i++) expect(await one.take(tenant, {})).toEqual(allowed);
    });

    it("allows as many requests at once as a minute has, at two gateways together, and says when there is one more", async () => {
      const { one, two, tenant } = await opened();
      const limits = { requestsPerMinute: 20 };
      for (let i = 0; i < 10; i++) {
        expect(await one.take(tenant, limits)).toEqual(allowed);
        expect(await two.take(tenant, limits)).toEqual(allowed);
      }
      const answer = await two.take(tenant, limits);
      expect(answer).toEqual({
        kind: "refused",
        reason: "tenant-requests",
        retryAfterMs: expect.any(Number),
      });
      const { retryAfterMs } = answer as { retryAfterMs: number };
      expect(retryAfterMs).toBeGreaterThan(0);
      expect(retryAfterMs).toBeLessThanOrEqual(3_000);
    });

    it("allows the next request after the time that it told, and one only", async () => {
      const { one, two, passTime, tenant } = await opened();
      const limits = { requestsPerMinute: 30 };
      for (let i = 0; i < 30; i++) await one.take(tenant, limits);
      const { retryAfterMs } = (await one.take(tenant, limits)) as { retryAfterMs: number };
      await passTime(retryAfterMs);
      expect(await two.take(tenant, limits)).toEqual(allowed);
      expect(await one.take(tenant, limits)).toMatchObject({ kind: "refused" });
    });

    it("keeps tenants apart", async () => {
      const { one, tenant } = await opened();
      const other = tenantId(`t-${randomUUID()}`);
      await one.take(tenant, { requestsPerMinute: 1 });
      expect(await one.take(tenant, { requestsPerMinute: 1 })).toMatchObject({ kind: "refused" });
      expect(await one.take(other, { requestsPerMinute: 1 })).toEqual(allowed);
    });

    it("refuses a tenant that has used up its tokens, until they have come in again", async () => {
      const { one, two, passTime, tenant } = await opened();
      const limits = { tokensPerMinute: 60_000 };
      expect(await one.take(tenant, limits)).toEqual(allowed);
      await two.charge(new Map([[tenant, 61_000]]));
      const answer = await one.take(tenant, limits);
      expect(answer).toMatchObject({ kind: "refused", reason: "tenant-tokens" });
      const { retryAfterMs } = answer as { retryAfterMs: number };
      expect(retryAfterMs).toBeGreaterThan(500);
      expect(retryAfterMs).toBeLessThanOrEqual(1_100);
      await passTime(retryAfterMs + 5);
      expect(await one.take(tenant, limits)).toEqual(allowed);
    });

    it("charges nobody whose tokens are not limited", async () => {
      const { one, tenant } = await opened();
      await one.charge(new Map([[tenant, 1_000_000]]));
      expect(await one.take(tenant, { tokensPerMinute: 10 })).toEqual(allowed);
    });

    it("takes a request only where tokens are left as well", async () => {
      const { one, tenant } = await opened();
      const limits = { requestsPerMinute: 2, tokensPerMinute: 1_000 };
      expect(await one.take(tenant, limits)).toEqual(allowed);
      await one.charge(new Map([[tenant, 2_000]]));
      for (let i = 0; i < 3; i++) {
        expect(await one.take(tenant, limits)).toMatchObject({ reason: "tenant-tokens" });
      }
      expect(await one.take(tenant, { requestsPerMinute: 2 })).toEqual(allowed);
    });

    it("goes by a limit from the moment at which it is changed", async () => {
      const { one, two, tenant } = await opened();
      for (let i = 0; i < 5; i++) await one.take(tenant, { requestsPerMinute: 100 });
      expect(await two.take(tenant, { requestsPerMinute: 1 })).toEqual(allowed);
      expect(await two.take(tenant, { requestsPerMinute: 1 })).toMatchObject({ kind: "refused" });
      expect(await two.take(tenant, {})).toEqual(allowed);
      expect(await one.take(tenant, { requestsPerMinute: 1 })).toEqual(allowed); // a new limit begins with a full minute
    });
  });
}
