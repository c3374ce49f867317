import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * Projects, told apart by file name, so that a test sits beside the code it tests:
 *
 * - `*.test.ts`              unit: no process, no socket, no file outside a temporary folder
 * - `*.integration.test.ts`  one adapter or one process against real local servers
 * - `*.e2e.test.ts`          the whole deployment through its command line and real clients
 *
 * The longest of the last kind are a project of their own, `proof`: they are judged by what was recorded and not by the
 * clock. Tests of whole deployments mostly wait, so that two files can run side by side.
 */
const include = ["server", "cli", "migrate", "chaos", "loadtest"];
const PROOF = ["chaos/bugs/bugs.e2e.test.ts", "chaos/short-matrix.e2e.test.ts", "cli/e2e/accept.e2e.test.ts"];
const everywhere = (suffix: string): string[] => include.map((folder) => `${folder}/**/*${suffix}`);

/** Files of a minute and of half a minute, which a fresh checkout knows nothing of yet; the others take less. */
const LONGEST = [
  "chaos/short-matrix",
  "chaos/bugs/bugs",
  "chaos/targets/docker/deployment",
  "chaos/crash/worker-crashes",
  "cli/e2e/control-ui",
  "cli/e2e/tui",
  "cli/e2e/accept",
  "server/supervisor/",
  "cli/e2e/life",
  "cli/e2e/commands",
  "cli/e2e/autoscaling",
  "chaos/crash/",
  "chaos/chaos.e2e",
  "server/gateway/conformance/",
  "server/gateway/fuzz/",
  "cli/e2e/",
  "server/adapters/",
];

/** Begins with what takes longest, so that no long file is left for the end, when all the others are done. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => {
      const found = LONGEST.findIndex((part) => moduleId.includes(`/${part}`));
      return found < 0 ? LONGEST.length : found;
    };
    return (await super.sort(files)).toSorted((a, b) => place(a) - place(b));
  }
}

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          name: "unit",
          include: everywhere(".test.ts"),
          exclude: [...everywhere(".integration.test.ts"), ...everywhere(".e2e.test.ts")],
          testTimeout: 10_000,
          // They share no state, and what they import is most of their time.
          isolate: false,
        },
      },
      {
        test: {
          name: "integration",
          include: everywhere(".integration.test.ts"),
          globalSetup: ["server/testing/global-setup.ts"],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          maxWorkers: 3,
        },
      },
      {
        test: {
          name: "e2e",
          include: everywhere(".e2e.test.ts"),
          exclude: PROOF,
          testTimeout: 180_000,
          hookTimeout: 300_000,
          maxWorkers: 2,
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
