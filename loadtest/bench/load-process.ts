import { randomUUID } from "node:crypto";
import { type Client, type ClientOptions, connectClient } from "./client.ts";

/** What a load generator is told, over its channel to the parent; so that no token is in its arguments. */
export interface LoadRequest {
  readonly url: string;
  readonly token: string;
  /** Sockets; each has one run under way at a time. */
  readonly clients: number;
  /** Runs before the measurement: connections, compiled code, caches. */
  readonly warmUpRuns: number;
  readonly runs: number;
}

/** What it has measured. Times are milliseconds. */
export interface LoadAnswer {
  readonly seconds: number;
  readonly ackMs: readonly number[];
  /** From the send to the `final` event. */
  readonly endToEndMs: readonly number[];
  readonly failed: readonly string[];
  /** The generator's own share of a core while it measured: near 1, it measures itself. */
  readonly cores: number;
}

/** Told when the warm-up is over and when the measured runs are, so that the parent can read CPU times then. */
export type LoadMessage =
  { readonly phase: "measuring" } | { readonly phase: "done"; readonly answer: LoadAnswer };

/** A run that does not end in this time counts as failed. */
const RUN_TIMEOUT_MS = 120_000;

process.once("message", (request: LoadRequest) => {
  void load(request).then((answer) => tell({ phase: "done", answer }, () => process.disconnect()));
});

const tell = (message: LoadMessage, sent = (): void => undefined): void =>
  void process.send?.(message, undefined, undefined, sent);

/** A closed loop: every client sends, waits for the end of its run, and sends the next one, each in a new session. */
async function load(request: LoadRequest): Promise<LoadAnswer> {
  const ends = new Map<string, (error: string | null) => void>();
  const onChat: ClientOptions["onChat"] = ({ runId, state, errorMessage }) => {
    if (state === "final") ends.get(runId)?.(null);
    else if (state === "error" || state === "aborted") ends.get(runId)?.(errorMessage ?? state);
  };
  const clients: Client[] = [];
  // One by one: the genuine gateway answers 503 to some of fifty handshakes at once.
  while (clients.length < request.clients) clients.push(await connectClient({ ...request, onChat }));
  const ackMs: number[] = [];
  const endToEndMs: number[] = [];
  const failed: string[] = [];
  let left = 0;

  const run = async (client: Client): Promise<void> => {
    const runId = randomUUID();
    const sessionKey = `agent:main:bench-${runId}`;
    let timer: NodeJS.Timeout | undefined;
    const ended = new Promise<string | null>((resolve) => {
      ends.set(runId, resolve);
      timer = setTimeout(() => resolve("timeout"), RUN_TIMEOUT_MS);
    });
    const subscribed = client.request("sessions.messages.subscribe", { key: sessionKey });
    const sentAt = performance.now();
    const send = { sessionKey, message: "hello", idempotencyKey: runId };
    const acknowledged = client.request("chat.send", send).then(() => ackMs.push(performance.now() - sentAt));
    try {
      await Promise.all([subscribed, acknowledged]);
      const error = await ended;
      if (error === null) endToEndMs.push(performance.now() - sentAt);
      else failed.push(error);
    } catch (error) {
      failed.push(String(error));
    } finally {
      clearTimeout(timer);
      ends.delete(runId);
    }
    await client.request("sessions.messages.unsubscribe", { key: sessionKey }).catch(() => undefined);
  };
  const pass = async (runs: number): Promise<void> => {
    left = runs;
    await Promise.all(
      clients.map(async (client) => {
        while (left-- > 0) await run(client);
      }),
    );
  };

  await pass(request.warmUpRuns);
  ackMs.length = endToEndMs.length = failed.length = 0;
  tell({ phase: "measuring" });
  const cpu = process.cpuUsage();
  const began = performance.now();
  await pass(request.runs);
  const seconds = (performance.now() - began) / 1_000;
  const { user, system } = process.cpuUsage(cpu);
  for (const client of clients) client.close();
  return { seconds, ackMs, endToEndMs, failed, cores: (user + system) / 1_000_000 / seconds };
}
