import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { stripTypeScriptTypes } from "node:module";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { edited } from "./build.ts";
import { PLANTED_BUGS } from "./index.ts";
import { TRIALS, trialOf } from "./trials.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const source = (file: string): string => readFileSync(join(ROOT, file), "utf8");

/** Every file that these edits change, as it is afterwards. */
const results = (edits: (typeof PLANTED_BUGS)[number]["edits"]) =>
  [...Map.groupBy(edits, ({ file }) => file)].map(([file, of]) => ({ file, text: edited(source(file), of) }));

/** @throws SyntaxError for what Node could not run */
function parse(file: string, text: string): void {
  if (file.endsWith(".ts")) stripTypeScriptTypes(text);
  // Dollar quotes come in pairs; the rest of SQL is for PostgreSQL to read.
  else if ((text.split("$$").length - 1) % 2 !== 0) throw new SyntaxError(`${file}: an open dollar quote`);
}

/** The first of the later migrations that makes the function anew in which a text stands. */
function madeAnewIn(text: string, find: string, later: readonly string[]): string | null {
  const name = /FUNCTION (\w+)\(/.exec(
    [...text.slice(0, text.indexOf(find)).matchAll(/FUNCTION \w+\(/g)].at(-1)?.[0] ?? "",
  );
  if (name === null) return null;
  const again = new RegExp(`CREATE (OR REPLACE )?FUNCTION ${name[1]}\\(`);
  return later.find((other) => again.test(other)) ?? null;
}

const migrationsAfter = (file: string): string[] =>
  readdirSync(join(ROOT, "migrate/sql"))
    .map((other) => `migrate/sql/${other}`)
    .filter((other) => other > file)
    .map(source);

describe("planted bugs", () => {
  it("are planted where they have an effect: not into a function that a later migration makes anew", () => {
    const inSql = [
      ...PLANTED_BUGS.flatMap(({ edits }) => edits),
      ...TRIALS.flatMap(({ equipment }) => equipment),
    ].filter(({ file }) => file.endsWith(".sql"));
    expect(inSql.length).toBeGreaterThan(5);
    expect(
      inSql.filter(({ file, find }) => madeAnewIn(source(file), find, migrationsAfter(file)) !== null),
    ).toEqual([]);
    const anew = "CREATE OR REPLACE FUNCTION f(a text)";
    expect(madeAnewIn("CREATE FUNCTION f(a text) AS $$ one $$", "one", ["SELECT 1", anew])).toBe(anew);
    expect(madeAnewIn("CREATE FUNCTION g(a text) AS $$ one $$", "one", [anew])).toBeNull();
  });

  it("are at least fifteen, each with a name of its own", () => {
    expect(new Set(PLANTED_BUGS.map(({ name }) => name)).size).toBe(PLANTED_BUGS.length);
    expect(PLANTED_BUGS.length).toBeGreaterThanOrEqual(15);
  });

  it.each(PLANTED_BUGS.map((bug) => [bug.name, bug] as const))(
    "%s finds its place in today's sources, and what it makes of them can be read",
    (_name, { edits, promise, trial }) => {
      expect(trialOf(trial).validators).toContain(promise);
      const changed = results([...trialOf(trial).equipment, ...edits]);
      for (const { file, text } of changed) {
        expect(text).not.toBe(source(file));
        expect(() => parse(file, text)).not.toThrow();
      }
    },
  );

  it("refuse to be planted where the text is not there, or is there twice", () => {
    const edit = { file: "a.ts", find: "x = 1", replace: "x = 2" };
    expect(edited("const x = 1;", [edit])).toBe("const x = 2;");
    expect(() => edited("const y = 1;", [edit])).toThrow("a.ts holds the text that is to be edited 0 times");
    expect(() => edited("x = 1; x = 1", [edit])).toThrow("2 times");
  });

  it("take dollar signs as they are", () => {
    expect(edited("a", [{ file: "f", find: "a", replace: "$& $1 $$" }])).toBe("$& $1 $$");
  });
});

describe("trials", () => {
  it.each(TRIALS.map((trial) => [trial.name, trial] as const))("%s shows a bug", (name, { equipment }) => {
    expect(PLANTED_BUGS.map(({ trial }) => trial)).toContain(name);
    for (const { file, text } of results(equipment)) expect(() => parse(file, text)).not.toThrow();
  });
});
