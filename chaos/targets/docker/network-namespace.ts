import { execa } from "execa";
import { HAError } from "../../../server/core/errors.ts";

/** `requests` come to the container, `answers` come from it. */
export type Direction = "both" | "requests" | "answers";

/** Our own chains, so that all that was done here is taken back at once. */
const CHAINS = { requests: "OPENCLAW_HA_IN", answers: "OPENCLAW_HA_OUT" } as const;
const HOOKS = { requests: ["INPUT", "-i"], answers: ["OUTPUT", "-o"] } as const;

/**
 * Packets of that direction vanish in the network namespace of the process; loopback, and with it the container's own
 * health check, is left alone. The rules are the namespace's and end with the container.
 * @throws HAError MISSING_DEPENDENCY unless this is root, with nsenter and iptables, on the engine's machine
 */
export async function blackHole(pid: number, direction: Direction): Promise<void> {
  await letThrough(pid);
  for (const way of ["requests", "answers"] as const) {
    if (direction !== "both" && direction !== way) continue;
    const [hook, device] = HOOKS[way];
    await iptables(pid, ["-N", CHAINS[way]]);
    await iptables(pid, ["-A", CHAINS[way], "-j", "DROP"]);
    await iptables(pid, ["-I", hook, "!", device, "lo", "-j", CHAINS[way]]);
  }
}

/** Takes `blackHole` back; does nothing where there is none. */
export async function letThrough(pid: number): Promise<void> {
  for (const way of ["requests", "answers"] as const) {
    const [hook, device] = HOOKS[way];
    // Fails where there is no such rule: then there is nothing to take back.
    await iptables(pid, ["-D", hook, "!", device, "lo", "-j", CHAINS[way]]).catch(ignoreUnlessMissing);
    await iptables(pid, ["-F", CHAINS[way]]).catch(ignoreUnlessMissing);
    await iptables(pid, ["-X", CHAINS[way]]).catch(ignoreUnlessMissing);
  }
}

/** Packets that were dropped in that direction so far: the evidence that the hole met traffic. */
export async function droppedPackets(pid: number, direction: "requests" | "answers"): Promise<number> {
  const listing = await iptables(pid, ["-L", CHAINS[direction], "-v", "-x", "-n"]);
  const [packets = "0"] = (listing.split("\n")[2] ?? "").trim().split(/\s+/u);
  return Number(packets);
}

async function iptables(pid: number, args: readonly string[]): Promise<string> {
  const command = ["--target", String(pid), "--net", "iptables", "--wait", ...args];
  const { all, code, failed, stdout } = await execa("nsenter", command, { reject: false, all: true });
  if (!failed) return stdout;
  if (code === "ENOENT" || /Operation not permitted|you must be root|failed to execute/iu.test(all)) {
    throw new HAError("MISSING_DEPENDENCY", `a container's packets cannot be dropped: ${all.trim()}`, {
      hint: "run as root on the engine's machine, with nsenter and iptables (apt-get install util-linux iptables)",
    });
  }
  throw new HAError("INTERNAL", `iptables ${args.join(" ")}: ${all.trim()}`, { pid });
}

function ignoreUnlessMissing(error: unknown): void {
  if (error instanceof HAError && error.code === "MISSING_DEPENDENCY") throw error;
}
