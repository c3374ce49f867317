import type { z } from "zod";
import type { TenantId } from "../../core/ids.ts";
import type { Connection } from "../connection.ts";
import type { GatewayContext } from "../context.ts";
import type { ErrorShape } from "../protocol/errors.ts";
import type { Scope } from "../protocol/scopes.ts";
import type { TenantHub } from "../tenant-hub.ts";

/** One request, as its handler sees it. */
export interface Call {
  readonly gateway: GatewayContext;
  readonly connection: Connection;
  readonly tenant: TenantId;
  /** The tenant's hub; the connection is one of its listeners. */
  readonly hub: TenantHub;
  /** W3C trace context that came with the request. */
  readonly traceparent: string | undefined;
  /**
   * Sends a first response now. What the handler returns afterwards is the second response on the same id, or none
   * where it returns undefined.
   */
  respond(payload: unknown): void;
}

export interface MethodSpec<Params> {
  readonly name: string;
  /** Null: every connection may call it. A function: what is asked decides, before it is known to be well-formed. */
  readonly scope: Scope | null | ((params: unknown) => Scope);
  /** True: it takes on new work, and is refused while the gateway drains. */
  readonly accepts?: boolean;
  /** Compiled once; fields it does not name are ignored. */
  readonly params: z.ZodType<Params>;
  /**
   * Answers the request. May throw anything: an HAError is told to the client, anything else is an internal error.
   * A `Failed` value answers with payload and error both.
   */
  handle(call: Call, params: Params): unknown;
}

export type Method = MethodSpec<unknown>;
export type MethodRegistry = ReadonlyMap<string, Method>;

/** An error response that carries a payload as well, as OpenClaw's `agent` has when the run failed. */
export class Failed {
  readonly payload: unknown;
  readonly error: ErrorShape;
  constructor(payload: unknown, error: ErrorShape) {
    this.payload = payload;
    this.error = error;
  }
}

/** Declares a method; the handler's params have the type of its schema. */
export const method = <Params>(spec: MethodSpec<Params>): Method => spec;

export function methodRegistry(families: readonly (readonly Method[])[]): MethodRegistry {
  const registry = new Map<string, Method>();
  for (const entry of families.flat()) registry.set(entry.name, entry);
  return registry;
}
