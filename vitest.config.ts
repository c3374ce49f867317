import { defineConfig } from "vitest/config";

/**
 * Projects, told apart by file name, so that a test sits beside the code it tests:
 *
 * - `*.test.ts`              unit: no process, no socket, no file outside a temporary folder
 * - `*.integration.test.ts`  one adapter or one process against real local servers
 * - `*.e2e.test.ts`          the whole deployment through its command line and real clients
 *
 * The longest of the last kind are a project of their own, `proof`: they are judged by what was recorded and not by the
 * clock, and mostly wait, so that two of them can run side by side.
 */
const include = ["server", "cli", "migrate", "chaos", "loadtest"];
const PROOF = ["chaos/bugs/bugs.e2e.test.ts", "chaos/short-matrix.e2e.test.ts", "cli/e2e/accept.e2e.test.ts"];
const everywhere = (suffix: string): string[] => include.map((folder) => `${folder}/**/*${suffix}`);

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: everywhere(".test.ts"),
          exclude: [...everywhere(".integration.test.ts"), ...everywhere(".e2e.test.ts")],
          testTimeout: 10_000,
        },
      },
      {
        test: {
          name: "integration",
          include: everywhere(".integration.test.ts"),
          globalSetup: ["server/testing/global-setup.ts"],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: "e2e",
          include: everywhere(".e2e.test.ts"),
          exclude: PROOF,
          testTimeout: 180_000,
          hookTimeout: 300_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: "proof",
          include: PROOF,
          testTimeout: 180_000,
          hookTimeout: 300_000,
          maxWorkers: 2,
        },
      },
    ],
  },
});
