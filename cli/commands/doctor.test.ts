import { describe, expect, it } from "vitest";
import { HAError } from "../../server/core/errors.ts";
import type { StoreFacts } from "../../server/diagnosis/facts.ts";
import { runCli } from "../testing/run-cli.ts";
import { reportText } from "./doctor.ts";

const HEALTHY: StoreFacts = {
  postgres: () =>
    Promise.resolve({
      version: "18.1",
      versionNumber: 180_001,
      clockSkewMs: 1,
      roundTripMs: 0.3,
      schemaRevision: 7,
      releaseRevision: 7,
      sessionLocks: true,
      inRecovery: false,
      maxConnections: 197,
      synchronousCommit: "on",
    }),
  redis: () =>
    Promise.resolve({
      version: "7.0.15",
      evictionPolicy: "noeviction",
      roundTripMs: 0.2,
      usedMemoryBytes: 1_000,
      maxMemoryBytes: 0,
      persistence: { kinds: [], failed: false },
    }),
  objects: () => Promise.resolve(),
};

/** The model that processes of a deployment are given. */
const env = { OPENCLAW_HA_DEMO_MODEL_URL: "http://127.0.0.1:1/v1" };

describe("openclaw-ha doctor", () => {
  it("exits 0 with versions and findings when all is well", async () => {
    const run = await runCli(["doctor", "--json"], { facts: HEALTHY, env });
    expect(run.exitCode).toBe(0);
    expect(run.json()).toMatchObject({
      verdict: "ok",
      versions: { openclawHa: "0.0.0-test", node: "24.0.0" },
      findings: expect.arrayContaining([
        { severity: "ok", what: "PostgreSQL 18.1 answers in 0.3 ms", why: "", action: "" },
      ]),
    });
  });

  it("exits 1 when something is wrong, and says what to do", async () => {
    const postgres = (): Promise<never> =>
      Promise.reject(new HAError("STORE_UNAVAILABLE", "connect ECONNREFUSED"));
    const run = await runCli(["doctor"], { facts: { ...HEALTHY, postgres }, env });
    expect(run.exitCode).toBe(1);
    expect(run.stdout).toMatch(
      /^FAIL {2}PostgreSQL is not usable: connect ECONNREFUSED\n {6}until it is, nothing is accepted\n {6}→ openclaw-ha up/m,
    );
    expect(run.stdout).toMatch(/1 errors, 0 warnings\n$/);
  });

  it("exits 0 with warnings alone", async () => {
    const run = await runCli(["doctor", "--json", "--data-dir", "/nonexistent/x"]);
    expect(run.exitCode).toBe(0);
    expect(run.json()).toMatchObject({ verdict: "warnings" });
  });

  it("reports errors of openclaw.json as a finding", async () => {
    const run = await runCli(["doctor", "--json"], {
      facts: HEALTHY,
      env: { ...env, OPENCLAW_HA_OPENCLAW_CONFIG: "/nonexistent/openclaw.json" },
    });
    expect(run.exitCode).toBe(1);
    expect(run.json()).toMatchObject({
      findings: expect.arrayContaining([
        expect.objectContaining({
          severity: "error",
          what: expect.stringContaining("there is no such file"),
        }),
      ]),
    });
  });

  it("colours its marks on a terminal only", () => {
    const report = {
      verdict: "ok" as const,
      versions: { openclawHa: "1", node: "24" },
      findings: [{ severity: "ok" as const, what: "fine", why: "", action: "" }],
    };
    expect(reportText(report, false)).toBe("ok    fine\n\nopenclaw-ha 1: 0 errors, 0 warnings");
    expect(reportText(report, true)).toContain("\u001B[32mok  \u001B[0m");
  });
});
