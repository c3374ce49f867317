/** JSON as it was recorded. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** What is different in every recording, however alike two gateways are. */
export interface Accidents {
  /** Prefix of the recording's session keys and run ids. */
  readonly tag: string;
  /** Versions that the gateway calls its own. */
  readonly versions: readonly string[];
}

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi;
const ISO_TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)/g;
/** An absolute path as the whole text; `/command` of a chat is none. */
const PATH = /^(\/[^\s/]+){2,}\/?$/;
const LOCAL_ADDRESS = /\b(127\.0\.0\.1|localhost)(:\d+)?/g;
/** 2001 to 2065 in milliseconds since 1970. */
const EPOCH_MS = { from: 1e12, to: 3e12 };
/** Fields that measure: their unit and presence count, not their number. */
const MEASURED =
  /^(age|ageMs|durationMs|runtimeMs|uptimeMs|elapsedMs|totalMs|executionMs|waitMs|.*(Bytes|Ratio|Utilization))$/;
/** Fields that count what happened before. */
const COUNTERS = /^(seq|runSeq|stateVersion|presence|health|messageSeq|rawSeq|generation)$/;
/** Fields that hold an opaque token of the server's own making. */
const OPAQUE =
  /^(nonce|connId|bootId|buildId|hash|source|.*Hash|deltaCursor|lifecycleRevision|itemId|instanceId|ip|host)$/;

/**
 * The recording without its accidents: ids, times, paths, versions and measured numbers become words for what they
 * are, so that two recordings of the same script differ only where the gateways do.
 */
export function normalise(value: unknown, accidents: Accidents, field = ""): Json {
  if (value === null || typeof value === "boolean") return value;
  if (typeof value === "number") return normaliseNumber(value, field);
  if (typeof value === "string") return normaliseText(value, accidents, field);
  if (Array.isArray(value)) return value.map((item) => normalise(item, accidents, field));
  if (typeof value !== "object") return null;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, item]) => item !== undefined)
      .map(([name, item]) => [normaliseText(name, accidents, ""), normalise(item, accidents, name)]),
  );
}

function normaliseNumber(value: number, field: string): Json {
  if (value >= EPOCH_MS.from && value <= EPOCH_MS.to) return "<time>";
  if (MEASURED.test(field)) return "<measured>";
  if (COUNTERS.test(field)) return "<counter>";
  return value;
}

function normaliseText(text: string, { tag, versions }: Accidents, field: string): string {
  if (OPAQUE.test(field) && text !== "") return `<${field}>`;
  if (PATH.test(text)) return "<path>";
  let normal = text.replaceAll(tag, "<tag>");
  normal = normal
    .replaceAll(UUID, "<uuid>")
    .replaceAll(ISO_TIME, "<iso time>")
    .replaceAll(LOCAL_ADDRESS, "<address>");
  for (const version of versions) normal = normal.replaceAll(version, "<version>");
  return normal;
}
