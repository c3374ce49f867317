import type { RunId, TenantId } from "../core/ids.ts";
import { backoffMs, type Random } from "../ports/random.ts";
import type { Clock } from "../ports/clock.ts";
import type { EventBus, Unsubscribe } from "../ports/event-bus.ts";
import type { Logger } from "../ports/logger.ts";
import { TenantHub, type TenantHubDeps } from "./tenant-hub.ts";

export interface HubDeps extends Omit<TenantHubDeps, "feed"> {
  readonly feed: (tenant: TenantId) => TenantHubDeps["feed"];
  readonly bus: EventBus;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** How long a tenant is still listened to after its last connection: a reconnecting client costs no resubscription. */
const LINGER_MS = 5_000;
/** How long a connect waits for the tenant's subscription; where the bus is away, the run watcher covers. */
const SUBSCRIBE_WAIT_MS = 500;

interface Entry {
  readonly hub: TenantHub;
  /** Resolves once the subscription stands. */
  readonly subscribed: Promise<void>;
  readonly abort: AbortController;
  unsubscribe: Unsubscribe | null;
  idleSince: number | null;
}

/** One TenantHub per tenant with connections, each with one subscription to the bus. */
export class Hub {
  private readonly tenants = new Map<TenantId, Entry>();
  private readonly deps: HubDeps;

  constructor(deps: HubDeps) {
    this.deps = deps;
  }

  /** The tenant's hub, subscribed or about to be. */
  open(tenant: TenantId): TenantHub {
    return this.entry(tenant).hub;
  }

  /** As `open`, once the subscription stands; or after half a second without one. */
  async ready(tenant: TenantId): Promise<TenantHub> {
    const entry = this.entry(tenant);
    const settled = new AbortController();
    await Promise.race([entry.subscribed, this.deps.clock.sleep(SUBSCRIBE_WAIT_MS, settled.signal)]);
    settled.abort();
    return entry.hub;
  }

  get(tenant: TenantId): TenantHub | undefined {
    return this.tenants.get(tenant)?.hub;
  }

  all(): Iterable<TenantHub> {
    return [...this.tenants.values()].map((entry) => entry.hub);
  }

  get runCount(): number {
    let runs = 0;
    for (const { hub } of this.tenants.values()) runs += hub.runs.size;
    return runs;
  }

  /** Runs to look up now, over all tenants. */
  due(now: number): { readonly tenant: TenantId; readonly runId: RunId }[] {
    const busHealthy = this.deps.bus.healthy();
    const due: { tenant: TenantId; runId: RunId }[] = [];
    for (const [tenant, { hub }] of this.tenants) {
      for (const runId of hub.due(now, busHealthy)) due.push({ tenant, runId });
    }
    return due;
  }

  /** Ends the subscriptions of tenants whose last connection left a while ago. */
  prune(now: number): void {
    for (const [tenant, entry] of this.tenants) {
      if (!entry.hub.idle) entry.idleSince = null;
      else if (entry.idleSince === null) entry.idleSince = now;
      else if (entry.idleSince + LINGER_MS <= now) {
        this.tenants.delete(tenant);
        void this.end(entry);
      }
    }
  }

  async close(): Promise<void> {
    const entries = [...this.tenants.values()];
    this.tenants.clear();
    await Promise.all(entries.map((entry) => this.end(entry)));
  }

  private entry(tenant: TenantId): Entry {
    const known = this.tenants.get(tenant);
    if (known) {
      known.idleSince = null;
      return known;
    }
    const { deps } = this;
    const hub = new TenantHub(tenant, { ...deps, feed: deps.feed(tenant) });
    const abort = new AbortController();
    const entry: Entry = {
      hub,
      abort,
      unsubscribe: null,
      idleSince: null,
      subscribed: this.subscribe(hub, abort.signal, (unsubscribe) => (entry.unsubscribe = unsubscribe)),
    };
    this.tenants.set(tenant, entry);
    return entry;
  }

  /** Tries until it stands. What happened before is fetched, as after any other cut. */
  private async subscribe(
    hub: TenantHub,
    signal: AbortSignal,
    keep: (unsubscribe: Unsubscribe) => void,
  ): Promise<void> {
    const { bus, clock, random, logger } = this.deps;
    for (let attempt = 0; !signal.aborted; attempt++) {
      try {
        const unsubscribe = await bus.subscribe(hub.tenant, hub);
        keep(unsubscribe);
        if (signal.aborted) await unsubscribe();
        else if (attempt > 0) hub.onGap();
        return;
      } catch (error) {
        if (attempt === 0)
          logger.warn("gateway.subscribe.failed", { tenant: hub.tenant, error: String(error) });
        await clock.sleep(100 + backoffMs(random, attempt, 200, 5_000), signal);
      }
    }
  }

  private async end(entry: Entry): Promise<void> {
    entry.abort.abort();
    await entry.unsubscribe?.().catch(() => undefined);
  }
}
