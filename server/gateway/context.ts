import type { AgentCatalog } from "../core/catalog.ts";
import type { ConfigView } from "../core/config-view.ts";
import type { MetricsRegistry } from "../metrics/registry.ts";
import type { Clock } from "../ports/clock.ts";
import type { CronStore } from "../ports/cron-store.ts";
import type { TenantDirectory } from "../ports/directory.ts";
import type { EventBus } from "../ports/event-bus.ts";
import type { Logger } from "../ports/logger.ts";
import type { ObjectStore } from "../ports/object-store.ts";
import type { RateLimiter } from "../ports/rate-limiter.ts";
import type { Random } from "../ports/random.ts";
import type { RunLedger } from "../ports/run-ledger.ts";
import type { RunQueue } from "../ports/run-queue.ts";
import type { SessionStore } from "../ports/session-store.ts";
import type { SubagentStore } from "../ports/subagent-store.ts";
import type { Tracing } from "../ports/tracing.ts";
import type { RunAcceptor } from "./accept-run.ts";
import type { Authenticator } from "./authenticate.ts";
import type { Backlog } from "./backlog.ts";
import type { Bodies } from "./bodies.ts";
import type { CommandRegistry } from "./commands/registry.ts";
import type { Connection } from "./connection.ts";
import type { Hub } from "./hub.ts";
import type { OpenAnswers } from "./http/open-answers.ts";
import type { MethodRegistry } from "./methods/registry.ts";
import type { GatewayMetrics } from "./metrics.ts";
import type { Presence } from "./presence.ts";
import type { GatewayTenantLimits } from "./tenant-limits.ts";
import type { GatewayLimits } from "./protocol/limits.ts";

/** What a gateway is started with beside its ports. */
export interface GatewaySettings {
  /** Name of the process over its lives, `gateway-1`; shown in metrics and presence. */
  readonly instance: string;
  /** Version of openclaw-ha, as `hello-ok.server.version`. */
  readonly version: string;
  readonly host: string;
  /** Own port; 0 takes a free one. */
  readonly port: number;
  /** Port shared with the other gateways of the machine (SO_REUSEPORT). */
  readonly sharedPort?: number;
  /** Origins that browsers may come from beside the gateway's own. */
  readonly allowedOrigins?: readonly string[];
  /** Folder of OpenClaw's built Control UI; null or absent: a page says how to get one. */
  readonly controlUi?: string | null;
  readonly limits?: Partial<GatewayLimits>;
  /** Time over which the connections are sent away when the gateway drains, in milliseconds; default 1000. */
  readonly drainSpreadMs?: number;
}

/** Everything a gateway needs. */
export interface GatewayDeps {
  readonly ledger: RunLedger;
  readonly sessions: SessionStore;
  readonly directory: TenantDirectory;
  readonly cron: CronStore;
  readonly subagents: SubagentStore;
  readonly queue: RunQueue;
  readonly bus: EventBus;
  readonly rateLimiter: RateLimiter;
  readonly objects: ObjectStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly catalog: AgentCatalog;
  /** openclaw.json as clients may see it. */
  readonly configView: ConfigView;
  readonly settings: GatewaySettings;
  /** Default: nothing is traced. */
  readonly tracing?: Tracing;
  /** That of the process; default one of the gateway's own. */
  readonly registry?: MetricsRegistry;
}

/** What the parts of a running gateway share. */
export interface GatewayContext extends GatewayDeps {
  readonly limits: GatewayLimits;
  readonly tenantLimits: GatewayTenantLimits;
  readonly authenticator: Authenticator;
  readonly bodies: Bodies;
  readonly hub: Hub;
  readonly backlog: Backlog;
  readonly acceptor: RunAcceptor;
  readonly metrics: GatewayMetrics;
  readonly presence: Presence;
  readonly methods: MethodRegistry;
  readonly commands: CommandRegistry;
  readonly connections: Set<Connection>;
  /** HTTP requests that wait for runs. */
  readonly answers: OpenAnswers;
  /** Of this process life, as `hello-ok.server.bootId`. */
  readonly bootId: string;
  /** Monotonic time of the start. */
  readonly startedAt: number;
  /** True once no new work is taken. */
  readonly draining: () => boolean;
}
