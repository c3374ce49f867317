import { BlockList, isIP } from "node:net";

/** Addresses that nobody outside can have a name lead to unless this machine or its network is meant. */
const PRIVATE = new BlockList();
for (const [network, bits] of [
  ["127.0.0.0", 8],
  ["10.0.0.0", 8],
  ["172.16.0.0", 12],
  ["192.168.0.0", 16],
  ["169.254.0.0", 16],
  ["100.64.0.0", 10],
] as const) {
  PRIVATE.addSubnet(network, bits, "ipv4");
}
PRIVATE.addAddress("::1", "ipv6");
PRIVATE.addSubnet("fc00::", 7, "ipv6");
PRIVATE.addSubnet("fe80::", 10, "ipv6");

/**
 * Whether a page of this origin may talk to the gateway that its browser reached under `host`; OpenClaw's rule. An origin
 * that is allowed by name may; so may one that equals the host, where the host is an address of a private network, this
 * machine, or a name that only such a network has. Any other name could be anybody's who lets it lead here (DNS
 * rebinding): it has to be allowed by name.
 */
export function originAllowed(
  origin: string | undefined,
  host: string | undefined,
  allowedOrigins: readonly string[],
): boolean {
  if (!origin || !URL.canParse(origin)) return false;
  const { origin: canonical, host: ownHost, hostname } = new URL(origin);
  const allowed = allowedOrigins.map((entry) => entry.trim().toLowerCase().replace(/\/$/, ""));
  if (allowed.includes("*") || allowed.includes(canonical.toLowerCase())) return true;
  return host !== undefined && ownHost === host.trim().toLowerCase() && isPrivateName(hostname);
}

function isPrivateName(hostname: string): boolean {
  const name = hostname.replace(/^\[|\]$/g, "");
  const family = isIP(name);
  if (family !== 0) return PRIVATE.check(name, family === 4 ? "ipv4" : "ipv6");
  return name === "localhost" || /\.(?:localhost|local|ts\.net)$/.test(name);
}
