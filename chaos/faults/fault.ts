import type { FaultSignal } from "../targets/target.ts";

/**
 * What is to be broken, as data. `subject` names an instance, a store, `supervisor`, or a choice that is made when the
 * fault comes: `any-gateway`, `any-worker`, `holder` (the worker that executes a run of the hot session), `gateways`,
 * `workers` (all of them at once).
 */
export type FaultSpec =
  | {
      readonly kind: "signal";
      readonly subject: string;
      readonly signal: Exclude<FaultSignal, "SIGCONT" | "SIGSTOP">;
    }
  | { readonly kind: "pause"; readonly subject: string; readonly forMs: number }
  | { readonly kind: "flush"; readonly subject: "redis" }
  | {
      readonly kind: "latency";
      readonly subject: string;
      readonly ms: number;
      readonly jitterMs: number;
      readonly forMs: number;
    }
  | {
      readonly kind: "rate";
      readonly subject: string;
      readonly bytesPerSecond: number;
      readonly forMs: number;
    }
  | {
      readonly kind: "black-hole";
      readonly subject: string;
      readonly direction: "both" | "requests" | "answers";
      readonly forMs: number;
    }
  | { readonly kind: "reset"; readonly subject: string; readonly times: number; readonly everyMs: number }
  | { readonly kind: "slow-close"; readonly subject: string; readonly ms: number; readonly forMs: number }
  | { readonly kind: "disk-full"; readonly subject: string; readonly forMs: number }
  | { readonly kind: "clock-skew"; readonly subject: string; readonly byMs: number; readonly forMs: number }
  | { readonly kind: "cpu-starvation"; readonly subject: string; readonly forMs: number }
  | {
      readonly kind: "memory-limit";
      readonly subject: string;
      readonly bytes: number;
      readonly forMs: number;
    }
  | { readonly kind: "model"; readonly directives: string; readonly forMs: number }
  | { readonly kind: "rolling-restart"; readonly subject: "gateways" | "workers" }
  | { readonly kind: "reconnect-storm"; readonly clients: number; readonly times: number };

export type FaultKind = FaultSpec["kind"];
