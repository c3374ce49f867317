import type { Readable } from "node:stream";
import { execa } from "execa";
import { HAError } from "../core/errors.ts";

export interface DockerRunOptions {
  /** What the command reads from stdin. */
  readonly input?: Readable;
  /** Given up after so long; default 60 s. Builds ask for more. */
  readonly timeoutMs?: number;
  /** Ends the command when it aborts. */
  readonly signal?: AbortSignal;
}

/**
 * A Docker engine as its own command line speaks to it, so that DOCKER_HOST and contexts count as everywhere, and what
 * is done here can be repeated by hand.
 */
export interface Docker {
  /**
   * `docker ARGS`, and its stdout without the last line end.
   * @throws HAError INTERNAL where the command fails, with the end of its stderr in `details.stderr`
   * @throws HAError MISSING_DEPENDENCY where there is no docker command
   */
  run(args: readonly string[], options?: DockerRunOptions): Promise<string>;
}

/** Lines of a failed command's stderr that are kept: a build's failing step is at its end. */
const STDERR_LINES = 20;
const RUN_TIMEOUT_MS = 60_000;
const PROBE_TIMEOUT_MS = 5_000;

export const dockerCli: Docker = {
  async run(args, { input, timeoutMs = RUN_TIMEOUT_MS, signal } = {}) {
    const result = await execa("docker", [...args], {
      ...(input === undefined ? { stdin: "ignore" } : { input }),
      ...(signal === undefined ? {} : { cancelSignal: signal }),
      timeout: timeoutMs,
      reject: false,
    });
    if (!result.failed) return result.stdout;
    if (result.code === "ENOENT") {
      throw new HAError("MISSING_DEPENDENCY", "there is no docker command on the PATH", {
        hint: "install Docker (Debian, Ubuntu: apt-get install docker.io)",
      });
    }
    const stderr = result.stderr.split("\n").slice(-STDERR_LINES).join("\n").trim();
    const why = result.timedOut
      ? `gave no answer within ${timeoutMs} ms`
      : (stderr.split("\n").at(-1) ?? `exit ${result.exitCode}`);
    throw new HAError("INTERNAL", `docker ${args[0]}: ${why}`, { command: args.join(" "), stderr });
  },
};

/** What answers there: version of the engine, null where none does (not installed, not running, not allowed). */
export async function engineVersion(docker: Docker = dockerCli): Promise<string | null> {
  try {
    const version = await docker.run(["version", "--format", "{{.Server.Version}}"], {
      timeoutMs: PROBE_TIMEOUT_MS,
    });
    return version === "" ? null : version;
  } catch {
    return null;
  }
}

/** @throws HAError MISSING_DEPENDENCY where no engine answers */
export async function requireEngine(docker: Docker = dockerCli): Promise<string> {
  const version = await engineVersion(docker);
  if (version !== null) return version;
  throw new HAError("MISSING_DEPENDENCY", "no Docker engine answers", {
    hint: "start it (systemctl start docker, or dockerd as root) and see that `docker info` works for this user",
  });
}
