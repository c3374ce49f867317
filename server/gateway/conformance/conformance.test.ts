import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { gatewayPool } from "../../testing/gateway-pool.ts";
import { assembleGateway } from "../assemble.ts";
import { CASES } from "./cases/index.ts";
import { compare, lineOf } from "./compare.ts";
import { DIFFERENCES } from "./differences/index.ts";
import { alternatives, judge } from "./documented.ts";
import { normalise } from "./normalise.ts";

/** Methods that are not OpenClaw's: there is nothing to hold them against. */
const OWN = /^openclaw-ha\./;

describe("the conformance cases", () => {
  it("look at every method that a gateway has", async () => {
    const pool = await gatewayPool();
    const { gateway } = assembleGateway(pool.deps());
    const looked = new Set(CASES.flatMap(({ methods }) => methods));
    const missing = [...gateway.methods.keys()].filter((name) => !OWN.test(name) && !looked.has(name));
    expect(missing, "add a case in server/gateway/conformance/cases").toEqual([]);
  });

  it("have names of their own", () => {
    const names = CASES.map(({ name }) => name);
    expect(names.filter((name, n) => names.indexOf(name) !== n)).toEqual([]);
  });
});

describe("COMPATIBILITY.md", () => {
  const text = readFileSync(new URL("../../../COMPATIBILITY.md", import.meta.url), "utf8").replaceAll(
    /\s+/g,
    " ",
  );

  it.each(DIFFERENCES.map((entry) => [entry.id, entry] as const))(
    "explains %s in the same words",
    (id, entry) => {
      expect(text).toContain(`**${id}**: ${entry.what} _${entry.why}_`);
    },
  );

  it("explains no difference that is not held against the gateways", () => {
    const explained = [...text.matchAll(/\*\*([a-z-]+)\*\*: /g)].map(([, id]) => id);
    expect(new Set(explained)).toEqual(new Set(DIFFERENCES.map(({ id }) => id)));
  });
});

describe("comparing", () => {
  const lines = (genuine: unknown, pool: unknown, at = "case ›"): string[] => {
    const plain = (value: unknown) => normalise(value, { tag: "xTAGx", versions: [] });
    return compare(plain(genuine), plain(pool), at).map(lineOf);
  };

  it("names what is missing, extra, of another type, value or length", () => {
    expect(lines({ a: 1, b: { c: "x" }, d: [1], e: 1 }, { b: { c: "y", f: 1 }, d: [], e: "1" })).toEqual([
      "missing case › a",
      "value case › b.c",
      "extra case › b.f",
      "length case › d",
      "type case › e",
    ]);
  });

  it("tells the same difference of several items once", () => {
    expect(lines({ rows: [{ a: 1 }, { a: 2 }] }, { rows: [{}, {}] })).toEqual(["missing case › rows[].a"]);
  });

  it("tells which step of an order is missing, and which was put in", () => {
    expect(lines(["a", "b", "c"], ["a", "c", "d"], "case › events order")).toEqual([
      "missing case › events order › b",
      "extra case › events order › d",
    ]);
  });

  it("sees no difference in ids, times, paths and measures", () => {
    const seen = (n: number) => ({
      id: `7b5e1d3c-0000-4000-8000-00000000000${n}`,
      ts: 1_795_000_000_000 + n,
      path: `/srv/node/${n}`,
      uptimeMs: n,
      key: "agent:main:xTAGx-s",
    });
    expect(lines(seen(1), seen(2))).toEqual([]);
    expect(lines({ limit: 1 }, { limit: 2 })).toEqual(["value case › limit"]);
  });
});

describe("judging", () => {
  const difference = { kind: "missing", at: "case › row.colour" } as const;
  const entry = { id: "colours", what: "", why: "" };

  it("accepts what is documented", () => {
    const documented = { ...entry, lines: ["missing * › row.colour"] };
    expect(judge([difference], [documented])).toEqual({ undocumented: [], gone: [] });
  });

  it("refuses what is not, and what is documented and gone", () => {
    const documented = { ...entry, lines: ["missing case › row.{shape,size}"] };
    expect(judge([difference], [documented])).toEqual({
      undocumented: [difference],
      gone: ["colours: missing case › row.shape", "colours: missing case › row.size"],
    });
  });

  it("does not miss what is there in some runs only", () => {
    const documented = { ...entry, lines: [], sometimes: ["missing case › row.{colour,size}"] };
    expect(judge([difference], [documented])).toEqual({ undocumented: [], gone: [] });
  });

  it("reads braces as alternatives", () => {
    expect(alternatives("{a,b} c{d,e}")).toEqual(["a cd", "a ce", "b cd", "b ce"]);
  });
});
