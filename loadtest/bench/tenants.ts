import { writeFile } from "node:fs/promises";
import path from "node:path";
import { startDeployment, type TestDeployment } from "../../server/testing/deployment.ts";
import { median, progress, result, rounded } from "./report.ts";

const FEW = 10;
const MANY = 1_000;
/** In turns, so that other work on the machine meets both sides. */
const PASSES = 4;
const LOOKS = 5;

/** Milliseconds of each command, one entry a time. */
interface Times {
  readonly firstUp: number[];
  readonly restart: number[];
  readonly unchangedUp: number[];
  readonly plan: number[];
  readonly status: number[];
  readonly statusText: number[];
}
const COMMANDS = ["firstUp", "restart", "unchangedUp", "plan", "status", "statusText"] as const;

interface Side {
  readonly tenants: number;
  readonly deployment: TestDeployment;
  readonly times: Times;
  readonly run: (...args: readonly string[]) => Promise<number>;
}

/** How long `up` and `status` take with a thousand tenants of openclaw-ha.yaml against ten. */
export async function tenantsBenchmark(): Promise<void> {
  const sides: Side[] = [];
  try {
    for (const tenants of [FEW, MANY]) sides.push(await openSide(tenants));
    for (let pass = 1; pass <= PASSES; pass++) {
      for (const { run, times } of sides) await measure(run, times);
      progress(`pass ${pass} of ${PASSES}`);
    }
    const [few, many] = sides.map(({ times }) => of(times, fastest));
    result({
      benchmark: "tenants",
      fastestMs: { [`tenants${FEW}`]: few, [`tenants${MANY}`]: many },
      medianMs: Object.fromEntries(
        sides.map(({ tenants, times }) => [`tenants${tenants}`, of(times, median)]),
      ),
      // Other work on the machine adds to a time and never takes from it, so the fastest ones are compared.
      ratios: Object.fromEntries(
        COMMANDS.map((name) => [name, rounded((many?.[name] ?? 0) / (few?.[name] ?? 0))]),
      ),
    });
  } finally {
    await Promise.all(sides.map(({ deployment }) => deployment.close()));
  }
}

async function openSide(tenants: number): Promise<Side> {
  const deployment = await startDeployment({ up: false, env: { OPENCLAW_HA_LOG_LEVEL: "warn" } });
  const file = path.join(deployment.folder, "openclaw-ha.yaml");
  const names = Array.from({ length: tenants }, (_, n) => `  - tenant-${n}\n`).join("");
  await writeFile(file, `topology: v2\nport: 0\npools: { gateway: 1, worker: 1 }\ntenants:\n${names}`);
  return {
    tenants,
    deployment,
    times: { firstUp: [], restart: [], unchangedUp: [], plan: [], status: [], statusText: [] },
    async run(...args) {
      const startedAt = performance.now();
      const { exitCode, stderr } = await deployment.cli(["--config", file, ...args]);
      if (exitCode !== 0) throw new Error(`openclaw-ha ${args.join(" ")}: exit ${exitCode}\n${stderr}`);
      return performance.now() - startedAt;
    },
  };
}

async function measure(run: Side["run"], times: Times): Promise<void> {
  await run("down", "--purge", "--yes");
  times.firstUp.push(await run("up", "--json"));
  await run("down");
  times.restart.push(await run("up", "--json"));
  for (let look = 0; look < LOOKS; look++) {
    times.unchangedUp.push(await run("up", "--json"));
    times.plan.push(await run("up", "--plan", "--json"));
    times.status.push(await run("status", "--json"));
    times.statusText.push(await run("status"));
  }
}

const fastest = (values: readonly number[]): number => rounded(Math.min(...values));

const of = (times: Times, choose: (values: readonly number[]) => number): Record<string, number> =>
  Object.fromEntries(COMMANDS.map((name) => [name, choose(times[name])]));
