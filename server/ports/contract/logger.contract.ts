import { describe, expect, it } from "vitest";
import type { LogFields, Logger } from "../logger.ts";

export interface LogLine {
  readonly level: string;
  readonly event: string;
  readonly fields: LogFields;
}

export interface LoggerFixture {
  /** Logs every level. */
  readonly log: Logger;
  /** What was written, oldest first. */
  readonly lines: () => readonly LogLine[];
}

/** What every Logger promises, wherever its lines go. */
export function loggerContract(adapter: string, open: () => LoggerFixture): void {
  describe(`Logger: ${adapter}`, () => {
    it.each(["debug", "info", "warn", "error"] as const)("writes %s with its event and fields", (level) => {
      const { log, lines } = open();
      log[level]("run.finished", { run: "r-1", ms: 12 });
      log[level]("run.started");
      expect(lines()).toEqual([
        { level, event: "run.finished", fields: { run: "r-1", ms: 12 } },
        { level, event: "run.started", fields: {} },
      ]);
    });

    it("gives a child the fields of its parents; the nearest one counts, and a line's own counts most", () => {
      const { log, lines } = open();
      const child = log.child({ tenant: "acme", run: "r-1" }).child({ run: "r-2" });
      child.info("a");
      child.info("b", { run: "r-3" });
      expect(lines().map(({ fields }) => fields)).toEqual([
        { tenant: "acme", run: "r-2" },
        { tenant: "acme", run: "r-3" },
      ]);
    });

    it("keeps a child's fields from its parent and its sisters", () => {
      const { log, lines } = open();
      const one = log.child({ run: "r-1" });
      const two = log.child({ session: "s" });
      log.info("parent");
      two.info("two");
      one.info("one");
      expect(lines().map(({ fields }) => fields)).toEqual([{}, { session: "s" }, { run: "r-1" }]);
    });

    it("keeps the order of lines over all of its children", () => {
      const { log, lines } = open();
      const child = log.child({ run: "r" });
      for (let i = 0; i < 20; i++) (i % 2 === 0 ? log : child).info(`line-${i}`);
      expect(lines().map(({ event }) => event)).toEqual(Array.from({ length: 20 }, (_, i) => `line-${i}`));
    });

    it("never throws, whatever it is given", () => {
      const { log, lines } = open();
      const circle: Record<string, unknown> = {};
      circle["self"] = circle;
      const odd = {
        circle,
        big: 1n,
        none: undefined,
        fn() {},
        at: new Date(Number.NaN),
        error: new Error("x"),
      };
      expect(() => log.child(odd).error("odd", odd)).not.toThrow();
      expect(lines().map(({ event }) => event)).toEqual(["odd"]);
    });
  });
}
