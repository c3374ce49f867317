/** One thing that somebody looked at, and what to do about it. */
export interface Finding {
  readonly severity: "ok" | "warning" | "error";
  /** What was looked at, and what was seen. */
  readonly what: string;
  /** What comes of it when it stays so; empty where all is well. */
  readonly why: string;
  /** The next step, a command where there is one; empty where there is nothing to do. */
  readonly action: string;
}

export const ok = (what: string): Finding => ({ severity: "ok", what, why: "", action: "" });
export const warning = (what: string, why: string, action: string): Finding => ({
  severity: "warning",
  what,
  why,
  action,
});
export const failing = (what: string, why: string, action: string): Finding => ({
  severity: "error",
  what,
  why,
  action,
});
