import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { format } from "prettier";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { LIMIT_NAMES } from "../server/core/tenant-limits.ts";
import { choiceOfFile } from "../server/deployment-config/choice.ts";
import { jsonSchema, settingsOf } from "../server/deployment-config/known-keys.ts";
import { parseDeploymentFile } from "../server/deployment-config/load.ts";
import { OTHER_PLACES, settingsTable } from "../server/deployment-config/settings.ts";
import { upCommand } from "./commands/up.ts";
import type { createContext } from "./context.ts";
import { choiceOfEnvironment, DEFAULT_TOPOLOGY, resolveTopology } from "./desired-topology.ts";

const TEMPLATES = fileURLToPath(new URL("../templates/", import.meta.url));
const CONFIG = path.join(TEMPLATES, "config");
const REFERENCE = path.join(CONFIG, "openclaw-ha.reference.yaml");
const reference = readFileSync(REFERENCE, "utf8");

/** As the formatter leaves it, so that the checked-in file passes that check too. */
const formatted = (text: string, parser: "json" | "markdown"): Promise<string> =>
  format(text, { parser, printWidth: 110 });

describe("the reference of openclaw-ha.yaml", () => {
  it("says what is true where nobody says anything", () => {
    const choice = choiceOfFile(parseDeploymentFile(reference, REFERENCE, {}), REFERENCE);
    const nothing = resolveTopology([], null);
    const noLimit = Object.fromEntries(LIMIT_NAMES.map((name) => [name, null]));
    expect(resolveTopology([choice], null)).toEqual({ ...nothing, limits: noLimit });
    expect(nothing.desired).toEqual(DEFAULT_TOPOLOGY);
  });

  it("has every key, as one or in an example beside it", () => {
    const value: unknown = parse(reference);
    const comments = reference
      .split("\n")
      .filter((line) => line.trim().startsWith("#"))
      .join("\n");
    const isThere = (key: string): boolean => {
      const parts = key.split(".");
      const found = parts.reduce<unknown>(
        (group, part) => (group as Record<string, unknown> | null)?.[part],
        value,
      );
      const name = new RegExp(`\\b${parts.findLast((part) => part !== "*")}\\b`);
      // What only a list's element or a store of one's own has is shown beside it; a tenant's limits are those above.
      return found !== undefined || name.test(key.startsWith("tenants.") ? reference : comments);
    };
    expect(settingsOf(jsonSchema()).filter((key) => !isThere(key))).toEqual([]);
  });
});

// Snapshots are files: `npx vitest run --project unit cli/config-templates -u` writes them anew.
describe("what is generated from the schema", () => {
  it("is the JSON schema for editors", async () => {
    const text = await formatted(JSON.stringify(jsonSchema()), "json");
    await expect(text).toMatchFileSnapshot(path.join(CONFIG, "openclaw-ha.schema.json"));
  });

  it("is the table of all settings", async () => {
    const text = await formatted(README(settingsTable(parse(reference))), "markdown");
    await expect(text).toMatchFileSnapshot(path.join(CONFIG, "README.md"));
  });
});

describe("the table of settings", () => {
  it("names the variables that are read, and the flags that there are", () => {
    const read = new Set<string>();
    choiceOfEnvironment(new Proxy({}, { get: (_, name) => void read.add(String(name)) }), "/");
    const places = Object.values(OTHER_PLACES);
    expect(places.flatMap(({ env }) => env ?? []).sort()).toEqual([...read].sort());
    const { options } = upCommand({} as ReturnType<typeof createContext>);
    const about = ["--users", "--install", "--plan", "--foreground"];
    const flags = options.flatMap(({ long }) => (long && !about.includes(long) ? [long] : []));
    expect(places.flatMap(({ flag }) => (flag?.startsWith("--") ? [flag] : [])).sort()).toEqual(flags.sort());
    const known = settingsOf(jsonSchema());
    expect(Object.keys(OTHER_PLACES).filter((key) => !known.includes(key))).toEqual([]);
  });
});

describe("presets", () => {
  const presets = readdirSync(path.join(TEMPLATES, "presets"));

  it("are there for every topology", () =>
    expect(presets).toEqual(["ha-external.yaml", "ha.yaml", "solo.yaml", "team.yaml"]));

  it.each(presets)("%s can be used as it is, and names the schema", (name) => {
    const file = path.join(TEMPLATES, "presets", name);
    const text = readFileSync(file, "utf8");
    const env = new Proxy({}, { get: (_, variable) => `value-of-${String(variable).toLowerCase()}` });
    expect(() => parseDeploymentFile(text, file, env)).not.toThrow();
    expect(text.split("\n")[0]).toBe("# yaml-language-server: $schema=../config/openclaw-ha.schema.json");
  });
});

const README = (table: string): string => `# openclaw-ha.yaml

\`openclaw-ha init\` writes one from a preset (\`templates/presets\`); \`openclaw-ha.reference.yaml\` explains every key in
place. It is read from the working directory, or from \`--config FILE\` or \`OPENCLAW_HA_CONFIG\`.

Whoever says something first decides: flags, then variables, then \`openclaw-ha.yaml\`, then what the deployment had, then
the default. \`openclaw-ha up --plan\` shows what would change.

Editors with a YAML language server complete and check the file: its first line names \`openclaw-ha.schema.json\`.

${table}

\`*\` is any name, or any element of a list. This page and the schema are generated from
\`server/deployment-config/schema.ts\`: \`npx vitest run --project unit cli/config-templates -u\`.
`;
