import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, expect, it } from "vitest";
import { postgresPool } from "../../adapters/postgres/pool.ts";
import { postgresScalingStore } from "../../adapters/postgres/scaling-store.ts";
import { DEFAULT_SCALING } from "../../core/scaling.ts";
import { startControlProcess } from "../../testing/control-process.ts";
import { testPostgres, type TestDatabase } from "../../testing/services.ts";
import { until } from "../../testing/until.ts";
import { TERM_MS } from "./scaler.ts";

let database: TestDatabase;
let operator: ReturnType<typeof postgresPool>;
beforeAll(async () => {
  database = await (await testPostgres()).createDatabase();
  operator = postgresPool({ url: database.url, applicationName: "test-operator", role: null });
});
afterAll(async () => {
  await operator.end();
  await database.drop();
});

const startControl = (instance: string): ChildProcess => startControlProcess(instance, database.url);

interface Lease {
  readonly holder: string;
  readonly token: number;
}

/** Who leads now, once it is somebody else than that. */
const leader = (not?: string): Promise<Lease> =>
  until(
    async () => {
      const { rows } = await operator.query<Lease>(
        "SELECT holder, token FROM control_leases WHERE name = 'scaling' AND expires_at > clock_timestamp()",
      );
      return rows[0] !== undefined && rows[0].holder !== not ? rows[0] : null;
    },
    { what: "a leader among the control processes", timeoutMs: 30_000 },
  );

it("another control process decides when the leading one is killed, and what the dead one would write is refused", async () => {
  const scaling = postgresScalingStore({ pool: operator });
  const policy = { ...DEFAULT_SCALING, auto: true, min: 1 };
  await scaling.setSize("worker", { desired: 3, otherwise: 3, policy, reason: "" });
  const processes = new Map(["control-a", "control-b"].map((name) => [name, startControl(name)]));
  const first = await leader();
  const [dead] = first.holder.split(".");
  processes.get(dead ?? "")?.kill("SIGKILL");
  const killedAt = performance.now();
  const second = await leader(first.holder);
  expect(second.holder.startsWith(`${dead}.`)).toBe(false);
  expect(second.token).toBe(first.token + 1);
  expect(performance.now() - killedAt).toBeLessThan(TERM_MS + 10_000);
  const late = { pool: "worker", from: 3, to: 8, reason: "from the grave" } as const;
  expect(await scaling.decide(first, late)).toBe(false);

  // Out of its limits: the first thing that the new leader sees.
  await scaling.setSize("worker", { desired: 3, otherwise: 3, policy: { ...policy, max: 2 }, reason: "" });
  const [size] = await until(
    async () => {
      const sizes = await scaling.sizes(1);
      return sizes[0]?.desired === 2 ? sizes : null;
    },
    { what: "a decision of the new leader", timeoutMs: 20_000 },
  );
  expect(size?.decisions).toMatchObject([{ from: 3, to: 2, by: second.holder }]);
});

it("a control process that is told to end hands over at once", async () => {
  await operator.query("DELETE FROM control_leases"); // that of a process which another test killed
  const processes = new Map(["control-c", "control-d"].map((name) => [name, startControl(name)]));
  const first = await leader();
  const [name] = first.holder.split(".");
  const other = [...processes.keys()].find((candidate) => candidate !== name);
  await until(
    async () => {
      const text = "SELECT FROM pg_stat_activity WHERE application_name = $1";
      return ((await operator.query(text, [other])).rowCount ?? 0) > 0;
    },
    { what: `a connection of ${other}` },
  );
  const leaving = processes.get(name ?? "")!;
  const exited = once(leaving, "exit");
  leaving.kill("SIGTERM");
  const leftAt = performance.now();
  await leader(first.holder);
  expect(performance.now() - leftAt).toBeLessThan(TERM_MS - 2_000);
  expect(await exited).toEqual([0, null]);
});
