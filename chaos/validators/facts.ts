import type { HistoryRecord, RecordOf } from "../history/format.ts";
import type { StoredCall, StoredRow, StoredRun } from "../stores/snapshot.ts";
import type { Evidence } from "./validator.ts";

/** A request of a client with what became of it. `open`: the history has no end of it. */
export interface Operation extends RecordOf<"invoke"> {
  /** Places among all records of the history: times may be equal, places never are. */
  readonly invokedAs: number;
  readonly completedAs: number;
  readonly completedAt: number | null;
  readonly outcome: "ok" | "refused" | "lost" | "open";
  readonly status: string | null;
  readonly runId: string | null;
  readonly error: RecordOf<"complete">["error"];
  readonly rows: RecordOf<"complete">["rows"];
}

/** A `chat` event with its place among all records. */
export interface Heard extends RecordOf<"chat"> {
  readonly heardAs: number;
}

/** A fault with its phases, in milliseconds into the run; null for a phase that did not come. */
export interface Fault {
  readonly id: string;
  readonly kind: string;
  readonly subject: string;
  readonly injectedAt: number | null;
  readonly shownAt: number | null;
  readonly healedAt: number | null;
  readonly failed: string | null;
}

/** A model call with the run that it was made for. */
export interface CallOfRun {
  readonly call: StoredCall;
  readonly run: StoredRun;
}

/** The evidence, indexed: what several validators look things up by. Names are made by `nameOf`. */
export interface Facts {
  readonly evidence: Evidence;
  readonly operations: readonly Operation[];
  /** Requests that make runs, by tenant and key. */
  readonly sends: ReadonlyMap<string, readonly Operation[]>;
  /** By tenant and run id. */
  readonly runs: ReadonlyMap<string, StoredRun>;
  /** Runs of a session in their order; by tenant and session key. */
  readonly runsOfSession: ReadonlyMap<string, readonly StoredRun[]>;
  /** Runs whose messages were answered in the turn of another one; by tenant and that one's id. */
  readonly mergedInto: ReadonlyMap<string, readonly StoredRun[]>;
  /** Rows of a transcript in order; by tenant and session key. */
  readonly rowsOfSession: ReadonlyMap<string, readonly StoredRow[]>;
  readonly rowsOfRun: ReadonlyMap<string, readonly StoredRow[]>;
  /** What each client heard of each run, in order; by tenant, run id and client. */
  readonly heard: ReadonlyMap<string, readonly Heard[]>;
  /** Calls of a session in the order in which they began; by tenant and session key. */
  readonly callsOfSession: ReadonlyMap<string, readonly CallOfRun[]>;
  readonly callsOfRun: ReadonlyMap<string, readonly StoredCall[]>;
  readonly faults: readonly Fault[];
  /** Sessions whose transcript somebody asked to start anew, or to delete; by tenant and session key. */
  readonly restarted: ReadonlySet<string>;
  /** First request and last sign of life of the traffic. */
  readonly window: { readonly from: number; readonly to: number };
  /** Clients and database are of one machine and no fault has moved a clock: their times can be compared. */
  readonly oneClock: boolean;
  /** What makes the history unfit to be judged: clocks that go back, answers without a request. */
  readonly unsound: readonly string[];
}

const SENDS: ReadonlySet<string> = new Set(["send", "agent"]);
const RESTARTS: ReadonlySet<string> = new Set(["reset", "delete"]);
const TERMINAL = new Set(["succeeded", "failed", "timed_out", "aborted", "dead"]);

/** One name for several parts; none of them holds a NUL. */
export const nameOf = (...parts: readonly (string | number)[]): string => parts.join("\0");
/** The same, for people. */
export const shown = (name: string): string => name.replaceAll("\0", "/");
export const isTerminal = (run: Pick<StoredRun, "status">): boolean => TERMINAL.has(run.status);
export const isEnd = ({ state }: Pick<Heard, "state">): boolean => state !== "status" && state !== "delta";

const known = new WeakMap<Evidence, Facts>();

/** The evidence, indexed once however many validators ask. */
export function factsOf(evidence: Evidence): Facts {
  let facts = known.get(evidence);
  if (facts === undefined) known.set(evidence, (facts = collect(evidence)));
  return facts;
}

function collect(evidence: Evidence): Facts {
  const { history, stores } = evidence;
  const unsound: string[] = [];
  const operations = operationsOf(history.records, unsound);
  const runs = new Map(stores.runs.map((run) => [nameOf(run.tenant, run.runId), run]));
  const calls = callsOf(evidence);
  return {
    evidence,
    operations,
    sends: Map.groupBy(
      operations.filter(({ method }) => SENDS.has(method)),
      ({ tenant, key }) => nameOf(tenant, key ?? ""),
    ),
    runs,
    runsOfSession: Map.groupBy(
      stores.runs.toSorted((a, b) => a.runOrder - b.runOrder),
      ({ tenant, sessionKey }) => nameOf(tenant, sessionKey),
    ),
    mergedInto: Map.groupBy(
      stores.runs.filter((run) => run.mergedInto !== null),
      (run) => nameOf(run.tenant, run.mergedInto ?? ""),
    ),
    rowsOfSession: Map.groupBy(
      stores.rows.toSorted((a, b) => a.seq - b.seq),
      ({ tenant, sessionKey }) => nameOf(tenant, sessionKey),
    ),
    rowsOfRun: Map.groupBy(stores.rows, ({ tenant, runId }) => nameOf(tenant, runId ?? "")),
    heard: heardOf(history.records),
    callsOfSession: Map.groupBy(calls, ({ run }) => nameOf(run.tenant, run.sessionKey)),
    callsOfRun: new Map(
      [...Map.groupBy(calls, ({ run }) => nameOf(run.tenant, run.runId))].map(([name, of]) => [
        name,
        of.map(({ call }) => call),
      ]),
    ),
    faults: faultsOf(history.records),
    restarted: new Set(
      operations
        .filter(({ method, outcome }) => RESTARTS.has(method) && outcome !== "refused")
        .map(({ tenant, sessionKey }) => nameOf(tenant, sessionKey)),
    ),
    oneClock:
      history.header.target !== "attach" &&
      !history.records.some((record) => record.type === "fault" && record.kind === "clock-skew"),
    window: windowOf(history.records),
    unsound,
  };
}

function operationsOf(records: readonly HistoryRecord[], unsound: string[]): Operation[] {
  type Draft = { -readonly [Key in keyof Operation]: Operation[Key] };
  const byOp = new Map<number, Draft>();
  let last = 0;
  for (const [place, record] of records.entries()) {
    if (!("at" in record)) continue;
    if (record.at < last) unsound.push(`time goes back from ${last} to ${record.at} ms at record ${place}`);
    last = Math.max(last, record.at);
    if (record.type === "invoke") {
      if (byOp.has(record.op)) unsound.push(`operation ${record.op} was begun twice`);
      byOp.set(record.op, {
        ...record,
        invokedAs: place,
        completedAs: Number.POSITIVE_INFINITY,
        completedAt: null,
        outcome: "open",
        status: null,
        runId: null,
        error: null,
        rows: null,
      });
    } else if (record.type === "complete") {
      const operation = byOp.get(record.op);
      if (operation === undefined) unsound.push(`operation ${record.op} ended and was never begun`);
      else if (operation.outcome !== "open") unsound.push(`operation ${record.op} ended twice`);
      else {
        const { at, outcome, status, runId, error, rows } = record;
        const ended = { completedAs: place, completedAt: at, outcome, status, runId, error, rows };
        Object.assign(operation, ended);
      }
    }
  }
  return [...byOp.values()];
}

function heardOf(records: readonly HistoryRecord[]): Map<string, Heard[]> {
  const heard = new Map<string, Heard[]>();
  for (const [heardAs, record] of records.entries()) {
    if (record.type !== "chat") continue;
    const name = nameOf(record.tenant, record.runId, record.client);
    const events = heard.get(name);
    if (events === undefined) heard.set(name, [{ ...record, heardAs }]);
    else events.push({ ...record, heardAs });
  }
  return heard;
}

/**
 * A call names its run by the mark in its text; where two tenants use one key, the canary tells them apart. The mark may
 * be that of a message which joined the turn of another run: the call is that one's.
 */
function callsOf({ history, stores }: Evidence): CallOfRun[] {
  const byKey = Map.groupBy(stores.runs, ({ runId }) => runId);
  const canaries = new Map(history.header.tenants.map(({ id, canary }) => [id, canary]));
  return stores.calls
    .toSorted((a, b) => a.startOrder - b.startOrder)
    .flatMap((call) => {
      const candidates = byKey.get(/<([^<>\s]+)>/.exec(call.text)?.[1] ?? "") ?? [];
      const run =
        candidates.length > 1
          ? candidates.find(({ tenant }) => call.text.includes(canaries.get(tenant) ?? "\0"))
          : candidates[0];
      const turn = run?.mergedInto
        ? byKey.get(run.mergedInto)?.find(({ tenant }) => tenant === run.tenant)
        : run;
      return turn === undefined ? [] : [{ call, run: turn }];
    });
}

function faultsOf(records: readonly HistoryRecord[]): Fault[] {
  type Draft = { -readonly [Key in keyof Fault]: Fault[Key] };
  const faults = new Map<string, Draft>();
  for (const record of records) {
    if (record.type !== "fault") continue;
    const { id, kind, subject, phase, at, detail } = record;
    const fault = faults.get(id) ?? {
      id,
      kind,
      subject,
      injectedAt: null,
      shownAt: null,
      healedAt: null,
      failed: null,
    };
    faults.set(id, fault);
    if (phase === "injected") fault.injectedAt ??= at;
    else if (phase === "shown") fault.shownAt ??= at;
    else if (phase === "healed") fault.healedAt = at;
    else fault.failed = detail;
  }
  return [...faults.values()];
}

function windowOf(records: readonly HistoryRecord[]): Facts["window"] {
  let from = Number.POSITIVE_INFINITY;
  let to = 0;
  for (const record of records) {
    if (record.type === "invoke") from = Math.min(from, record.at);
    if (record.type === "invoke" || record.type === "complete" || record.type === "chat") to = record.at;
  }
  return { from, to };
}
