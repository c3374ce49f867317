import type { PromiseName } from "./validators/validator.ts";
import type { Capability, TargetOptions } from "./targets/target.ts";
import type { FaultSpec } from "./faults/fault.ts";

/** How clients behave while things break; all amounts are for the whole run. */
export interface TrafficSpec {
  readonly tenants: number;
  /** Sessions of each tenant; the first one of the first tenant is the hot one. */
  readonly sessions: number;
  readonly clients: number;
  /** New sends a second over all clients. */
  readonly perSecond: number;
  /** Share of sends that go to the one hot session, 0 to 1. */
  readonly hot: number;
  /** Directives for the demo model: `chunks=6 delay=40`. One is drawn for each send. */
  readonly directives: readonly string[];
  /** Shares of what is done beside plain sends, 0 to 1. */
  readonly mix: {
    /** The same send at once on two gateways under one key. */
    readonly duplicates: number;
    /** The same key with other words, or for another session: must be a conflict. */
    readonly conflicts: number;
    readonly aborts: number;
    readonly interrupts: number;
    readonly histories: number;
    /** A bystander on another gateway hears the same session. */
    readonly followers: number;
    /** The client throws its connection away right after sending, and asks again. */
    readonly lostAnswers: number;
    /** Two sends of one session overtaken on the way: sent in another order over two connections. */
    readonly reordered: number;
    /** Messages of some twenty kilobytes; default none. */
    readonly large?: number;
    /** Messages whose run spawns a subagent that works for a moment; default none. */
    readonly subagents?: number;
    /** Instead of a send, a cron job for one time within the next seconds; default none. */
    readonly cronJobs?: number;
  };
}

/** One fault of a scenario. `atMs` counts from when traffic has warmed up. */
export interface TimedFault {
  readonly atMs: number;
  readonly fault: FaultSpec;
}

/** A value, no control flow: what runs, what is done to it, and what must hold all the same. */
export interface Scenario {
  readonly name: string;
  /** A sentence that an operator would want to be true; the validators are its parts. */
  readonly claim: string;
  readonly topology: Pick<TargetOptions, "gateways" | "workers" | "wiring" | "bus" | "objects">;
  readonly traffic: TrafficSpec;
  /** How long new sends are made, milliseconds. */
  readonly durationMs: number;
  readonly faults: readonly TimedFault[];
  /** After the last fault, everything acknowledged must have ended within so long. The reason stands beside it. */
  readonly settleWithinMs: number;
  readonly validators: readonly PromiseName[];
  readonly needs: readonly Capability[];
}

export const defineScenario = (scenario: Scenario): Scenario => scenario;
