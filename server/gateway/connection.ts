import { asHAError } from "../core/errors.ts";
import type { SessionKey, TenantId } from "../core/ids.ts";
import type { Principal } from "../ports/directory.ts";
import type { Listener } from "./audience.ts";
import type { GatewayContext } from "./context.ts";
import { type Call, Failed, type Method } from "./methods/registry.ts";
import type { Outcome } from "./metrics.ts";
import { Outbox, type Wire } from "./outbox.ts";
import { helloOk } from "./projection/hello.ts";
import {
  type ConnectParams,
  connectParams,
  type ConnectRefusal,
  planConnect,
  tokenMismatch,
} from "./protocol/connect.ts";
import { drainingShape, errorShape, type ErrorShape, SOCKET_BUSY } from "./protocol/errors.ts";
import {
  closeReason,
  encodeFailure,
  encodeResult,
  parseFrame,
  type RequestFrame,
  unnumberedEvent,
} from "./protocol/frames.ts";
import { readParams } from "./protocol/params.ts";
import { grantScopes, hasScope } from "./protocol/scopes.ts";
import type { TenantHub } from "./tenant-hub.ts";

/** Headers of the upgrade that the handshake looks at. */
export interface Upgrade {
  readonly origin: string | undefined;
  readonly host: string | undefined;
}

/** Frames that may wait while the token is being looked up. */
const EARLY_FRAMES_MAX = 16;

/**
 * One client's WebSocket: the handshake, then requests and their answers. It owns no timer; the gateway's shared ones
 * look after deadlines and half-open sockets. Nothing that a client sends may throw out of `receive`.
 */
export class Connection implements Listener {
  readonly id: string;
  readonly outbox: Outbox;
  /** Monotonic time of the upgrade. */
  readonly openedAt: number;
  reads = false;
  sessionScoped = false;
  toolEvents = false;
  joinSerial = 0;
  client: ConnectParams["client"] | null = null;
  scopes: readonly string[] = [];
  tenant: TenantId | null = null;
  /** Of the token that it came with, as `Principal.tokenId`. */
  tokenId: string | null = null;
  /** Sessions of `sessions.messages.subscribe`. */
  readonly subscriptions = new Set<SessionKey>();
  /** `agent.wait` and second responses that are still to come. */
  waits = 0;
  connectedAtMs = 0;
  private readonly gateway: GatewayContext;
  private state: "new" | "connecting" | "open" | "closed" = "new";
  private upgrade: Upgrade | null;
  private nonce: string;
  private challengeTs: number;
  private early: string[] | null = null;
  private hub: TenantHub | null = null;
  private inFlight = 0;
  private goneCallbacks: Set<() => void> | null = null;

  constructor(gateway: GatewayContext, wire: Wire, upgrade: Upgrade) {
    this.gateway = gateway;
    this.id = gateway.random.uuid();
    this.outbox = new Outbox(wire, gateway.limits, gateway.backlog);
    this.openedAt = gateway.clock.monotonic();
    this.upgrade = upgrade;
    this.nonce = gateway.random.uuid();
    this.challengeTs = Math.floor(gateway.clock.now());
    const challenge = { nonce: this.nonce, ts: this.challengeTs };
    this.outbox.frame(unnumberedEvent("connect.challenge", challenge));
  }

  get connected(): boolean {
    return this.state === "open";
  }

  /** One text message of the client. */
  receive(text: string): void {
    if (this.state === "closed") return;
    if (this.state === "new") {
      if (Buffer.byteLength(text) > this.gateway.limits.preConnectBytes) return this.close(1009, "");
      return this.firstFrame(text);
    }
    if (this.state === "connecting") {
      // Sent right behind `connect`, before its answer: read once that is out.
      this.early ??= [];
      if (this.early.length >= EARLY_FRAMES_MAX) return this.close(1008, "too many frames before hello");
      this.early.push(text);
      return;
    }
    const incoming = parseFrame(text);
    if (incoming.kind === "not-json") return; // as OpenClaw: ignored, the connection stays
    if (incoming.kind === "bad") {
      this.gateway.metrics.request("invalid", "invalid");
      return this.fail(incoming.id, invalidRequest(`invalid request frame: ${incoming.why}`));
    }
    this.dispatch(incoming.request);
  }

  /** Calls back when the socket has closed; the answer takes the callback back. */
  onceGone(callback: () => void): () => void {
    const callbacks = (this.goneCallbacks ??= new Set());
    callbacks.add(callback);
    return () => callbacks.delete(callback);
  }

  /** The socket has closed. */
  ended(): void {
    this.state = "closed";
    this.early = null;
    this.outbox.closed();
    this.hub?.leave(this, this.subscriptions);
    this.gateway.connections.delete(this);
    if (this.hub && this.tenant) this.gateway.presence.left(this.tenant, this);
    this.hub = null;
    for (const callback of this.goneCallbacks ?? []) callback();
    this.goneCallbacks = null;
  }

  close(code: number, reason: string): void {
    this.outbox.close(code, closeReason(reason));
    this.state = "closed";
  }

  private firstFrame(text: string): void {
    const incoming = parseFrame(text);
    if (incoming.kind === "not-json") return this.close(1000, "");
    if (incoming.kind === "bad") return this.close(1008, "invalid request frame");
    const { id, method, params } = incoming.request;
    if (method !== "connect") {
      const message = "invalid handshake: first request must be connect";
      return this.refuse(id, { error: invalidRequest(message), closeCode: 1008 });
    }
    const read = readParams(connectParams, params);
    if (!read.ok) {
      const message = `invalid connect params: ${read.why}`;
      return this.refuse(id, { error: invalidRequest(message), closeCode: 1008 });
    }
    this.state = "connecting";
    void this.connect(id, read.value).catch((error: unknown) => {
      this.gateway.logger.error("gateway.connect.failed", { error: String(error) });
      this.refuse(id, { error: errorShape(error), closeCode: 1013 });
    });
  }

  private async connect(id: string, params: ConnectParams): Promise<void> {
    const { gateway, upgrade } = this;
    const plan = planConnect(params, {
      nonce: this.nonce,
      challengeTs: this.challengeTs,
      origin: upgrade?.origin,
      host: upgrade?.host,
      allowedOrigins: gateway.settings.allowedOrigins ?? [],
    });
    this.upgrade = null;
    if ("error" in plan) return this.refuse(id, plan);
    if (gateway.draining()) return this.refuse(id, { error: drainingShape("connect"), closeCode: 1013 });
    try {
      for (const credential of plan.credentials) {
        const principal = await gateway.authenticator.authenticate(credential);
        if (principal === null) continue;
        const hub = await gateway.hub.ready(principal.tenant);
        if (this.state !== "connecting") return; // closed meanwhile
        return this.open(id, params, principal, grantScopes(plan.scopes, principal.scopes), hub);
      }
    } catch (error) {
      return this.refuse(id, { error: errorShape(error), closeCode: 1013 });
    }
    this.refuse(id, tokenMismatch());
  }

  private open(
    id: string,
    params: ConnectParams,
    { tenant, tokenId }: Principal,
    scopes: readonly string[],
    hub: TenantHub,
  ): void {
    const { gateway } = this;
    this.state = "open";
    this.client = params.client;
    this.tenant = tenant;
    this.tokenId = tokenId;
    this.scopes = scopes;
    this.reads = hasScope(scopes, "operator.read");
    this.sessionScoped = params.caps?.includes("session-scoped-events") ?? false;
    this.toolEvents = params.caps?.includes("tool-events") ?? false;
    this.connectedAtMs = gateway.clock.now();
    this.hub = hub;
    hub.audience.add(this);
    gateway.presence.joined(tenant, this);
    this.outbox.frame(encodeResult(id, helloOk(gateway, this, tenant)));
    const early = this.early;
    this.early = null;
    for (const text of early ?? []) this.receive(text);
  }

  private refuse(id: string, refusal: ConnectRefusal): void {
    if (this.state === "closed") return;
    this.gateway.metrics.connection("refused");
    this.fail(id, refusal.error);
    this.close(refusal.closeCode, refusal.error.message);
  }

  private dispatch(request: RequestFrame): void {
    const { gateway, hub, tenant } = this;
    if (hub === null || tenant === null) return;
    const { id, method: name } = request;
    if (name === "connect") {
      return this.fail(id, invalidRequest("connect is only valid as the first request"));
    }
    const method = gateway.methods.get(name);
    if (!method) {
      gateway.metrics.request("unknown", "invalid");
      return this.fail(id, invalidRequest(`unknown method: ${name.slice(0, 200)}`));
    }
    const refused = this.refusal(method, request.params);
    if (refused) {
      gateway.metrics.request(name, outcomeOf(refused));
      return this.fail(id, refused);
    }
    const read = readParams(method.params, request.params);
    if (!read.ok) {
      gateway.metrics.request(name, "invalid");
      return this.fail(id, invalidRequest(`invalid ${name} params: ${read.why}`));
    }
    this.inFlight++;
    this.answer(method, request, read.value, hub, tenant);
  }

  private refusal(method: Method, params: unknown): ErrorShape | null {
    const { gateway } = this;
    const scope = typeof method.scope === "function" ? method.scope(params) : method.scope;
    if (this.inFlight >= gateway.limits.maxInFlight) return SOCKET_BUSY;
    if (scope !== null && !hasScope(this.scopes, scope)) {
      return {
        code: "FORBIDDEN",
        message: `missing scope: ${scope}`,
        details: { code: "MISSING_SCOPE", missingScope: scope, requiredScopes: [scope] },
      };
    }
    return method.accepts && gateway.draining() ? drainingShape(method.name) : null;
  }

  /** Calls the handler and sends its answer. One handler's failure is one error response, whatever it throws. */
  private answer(
    method: Method,
    { id, traceparent }: RequestFrame,
    params: unknown,
    hub: TenantHub,
    tenant: TenantId,
  ): void {
    const { gateway } = this;
    const startedAt = gateway.clock.monotonic();
    let answered = false;
    const first = (outcome: Outcome): void => {
      if (answered) return;
      answered = true;
      this.inFlight--;
      gateway.metrics.request(method.name, outcome);
      if (method.accepts) gateway.metrics.acknowledged(gateway.clock.monotonic() - startedAt);
    };
    const succeed = (result: unknown): void => {
      if (result instanceof Failed) this.outbox.frame(encodeFailure(id, result.error, result.payload));
      else if (!answered || result !== undefined) this.outbox.frame(encodeResult(id, result));
      first("ok");
    };
    const fail = (error: unknown): void => {
      const shape = errorShape(error);
      this.fail(id, shape);
      first(outcomeOf(shape));
      const known = asHAError(error);
      if (known.code !== "INTERNAL" && known.code !== "TRANSITION_INVALID") return;
      const { stack } = known.cause instanceof Error ? known.cause : known;
      gateway.logger.error("gateway.request.failed", { method: method.name, tenant, stack });
    };
    const call: Call = {
      gateway,
      connection: this,
      tenant,
      hub,
      traceparent,
      respond: (payload) => {
        this.outbox.frame(encodeResult(id, payload));
        first("ok");
      },
    };
    // What a handler answers at once is sent at once: a burst of cheap requests never fills the socket's allowance.
    try {
      const result = method.handle(call, params);
      if (result instanceof Promise) result.then(succeed).catch(fail);
      else succeed(result);
    } catch (error) {
      fail(error);
    }
  }

  private fail(id: string, error: ErrorShape): void {
    this.outbox.frame(encodeFailure(id, error));
  }
}

const invalidRequest = (message: string): ErrorShape => ({ code: "INVALID_REQUEST", message });

function outcomeOf(error: ErrorShape): Outcome {
  if (error.code === "FORBIDDEN" || error.code === "NOT_PAIRED") return "forbidden";
  return error.code === "UNAVAILABLE" ? "unavailable" : "invalid";
}
