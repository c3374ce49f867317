import { type Evidence } from "../validators/validator.ts";
import { HISTORY_VERSION, type HistoryRecord } from "../history/format.ts";
import { SNAPSHOT_VERSION } from "../stores/snapshot.ts";
import type { HeardChat, SentMessage, TrafficRecord } from "./record.ts";

const TENANT = "default";

/**
 * The record of a crash test as the validators read it. Its orders take the place of times, so that nothing is compared
 * with a clock; and since a test breaks things by hand, whenever it wants, a holder may have been cut off at any time.
 */
export function evidenceOf(record: TrafficRecord): Evidence {
  const { heard, sent, ...stored } = record;
  const placed = [...requestsOf(sent), ...eventsOf(heard)].toSorted((a, b) => a.at - b.at);
  const fault = { type: "fault", id: "test", kind: "pause", subject: "any", detail: "by hand" } as const;
  const records: HistoryRecord[] = [
    { ...fault, at: 0, phase: "injected" },
    { ...fault, at: 0, phase: "shown" },
    ...placed,
    { ...fault, at: Number.MAX_SAFE_INTEGER, phase: "healed" },
  ];
  return {
    history: {
      header: {
        type: "header",
        version: HISTORY_VERSION,
        scenario: "crash",
        claim: "",
        seed: 0,
        target: "attach",
        startedAt: new Date(0).toISOString(),
        startedAtMs: 0,
        gateways: 0,
        workers: 0,
        tenants: [],
        plantedBug: null,
        command: "",
      },
      records,
      end: { type: "end", at: Number.MAX_SAFE_INTEGER, records: records.length, settled: true },
    },
    stores: { version: SNAPSHOT_VERSION, takenAt: 0, ...stored, foreign: [], queueLeft: 0 },
  };
}

/** Each answer belongs to a request; of requests that were repeated, only the first has a time of its own. */
function requestsOf(sent: readonly SentMessage[]): (HistoryRecord & { readonly at: number })[] {
  let ops = 0;
  return sent.flatMap(({ acks, client, key, sentOrder, sessionKey, words }) =>
    acks.flatMap(({ connection, order, status }, i) => {
      const op = ++ops;
      const request = { op, client, connection, gateway: "", tenant: TENANT, sessionKey, key, words };
      const at = i === 0 ? (sentOrder ?? order) : order;
      const what = { method: "send", text: words, queueMode: null, intent: "plain" } as const;
      return [
        { type: "invoke", at, ...request, ...what } as const,
        {
          type: "complete",
          at: order,
          op,
          outcome: "ok",
          status,
          runId: key,
          error: null,
          rows: null,
        } as const,
      ];
    }),
  );
}

/** A client has one connection at a time: the last one had ended when the next one hears something. */
function eventsOf(heard: readonly HeardChat[]): (HistoryRecord & { readonly at: number })[] {
  const current = new Map<string, number>();
  return heard
    .toSorted((a, b) => a.order - b.order)
    .flatMap(({ client, connection, deltaText, order, replace, runId, runSeq, state, text }) => {
      const before = current.get(client);
      current.set(client, connection);
      const who = { client, tenant: TENANT, at: order };
      const event = { state, runSeq, replace, text, runId, delta: deltaText, error: null, sessionKey: "" };
      return [
        ...(before === undefined || before === connection
          ? []
          : [
              {
                type: "connection",
                ...who,
                connection: before,
                gateway: "",
                state: "closed",
                code: null,
              } as const,
            ]),
        { type: "chat", ...who, connection, ...event } as const,
      ];
    });
}
