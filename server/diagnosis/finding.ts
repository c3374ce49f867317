/** One thing that somebody looked at, and what to do about it. */
export interface Finding {
  readonly severity: "ok" | "warning" | "error";
  /** What was looked at, and what was seen. */
  readonly what: string;
  /** The next step; empty where there is nothing to do. */
  readonly action: string;
}

export const ok = (what: string): Finding => ({ severity: "ok", what, action: "" });
export const warning = (what: string, action: string): Finding => ({ severity: "warning", what, action });
export const failing = (what: string, action: string): Finding => ({ severity: "error", what, action });
