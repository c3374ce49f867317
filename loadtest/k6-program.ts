import path from "node:path";
import { execa } from "execa";
import { HAError } from "../server/core/errors.ts";

/** The release that the scripts are tried with. */
export const K6_MODULE = "go.k6.io/k6@v1.8.1";

/** What is needed of the machine to find programs on it. */
export interface Machine {
  /** Folder of package.json; what we build lies in its `.cache/bin`. */
  readonly packageRoot: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Absolute path of a program, or null; the checkout's own tools first. */
  readonly find: (name: string) => string | null;
}

const cacheOf = ({ packageRoot }: Machine): string => path.join(packageRoot, ".cache", "bin");

/**
 * Absolute path of k6.
 * @throws HAError MISSING_DEPENDENCY, with the one command that makes it good
 */
export function requireK6(machine: Machine): string {
  const found = machine.find("k6");
  if (found !== null) return found;
  const go = machine.find("go") !== null;
  throw new HAError("MISSING_DEPENDENCY", `k6 is not installed (looked on PATH and in ${cacheOf(machine)})`, {
    programs: ["k6"],
    hint: go
      ? "run `openclaw-ha loadtest --install`"
      : "install k6 (https://k6.io/docs/get-started/installation) or Go, with which `openclaw-ha loadtest --install` builds it",
  });
}

/**
 * Builds k6 into the checkout's cache unless it is there: minutes the first time, seconds where Go has built it before.
 * @throws HAError MISSING_DEPENDENCY when there is no Go, or the build fails; the signal's reason when it aborts
 */
export async function installK6(
  machine: Machine,
  progress: (text: string) => void,
  signal: AbortSignal,
): Promise<string> {
  const there = machine.find("k6");
  if (there !== null) {
    progress(`k6 is installed: ${there}`);
    return there;
  }
  const go = machine.find("go");
  if (go === null) {
    throw new HAError("MISSING_DEPENDENCY", "there is no Go to build k6 with", {
      programs: ["go"],
      hint: "install Go (https://go.dev/dl), or put a k6 of your own on the PATH",
    });
  }
  progress(`building ${K6_MODULE} into ${cacheOf(machine)}; this takes some minutes`);
  const build = await execa(go, ["install", K6_MODULE], {
    env: { ...machine.env, GOBIN: cacheOf(machine) },
    extendEnv: false,
    stdin: "ignore",
    reject: false,
    cancelSignal: signal,
    all: true,
  });
  signal.throwIfAborted();
  const built = machine.find("k6");
  if (!build.failed && built !== null) return built;
  throw new HAError(
    "MISSING_DEPENDENCY",
    `\`go install ${K6_MODULE}\` failed: ${lastLine(build.all ?? "")}`,
    {
      hint: "put a k6 of your own on the PATH (https://k6.io/docs/get-started/installation)",
    },
  );
}

const lastLine = (text: string): string => text.trim().split("\n").at(-1) ?? "";
