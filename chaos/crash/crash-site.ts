import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Pool } from "pg";
import { onTestFinished } from "vitest";
import { processIdentity } from "../../server/adapters/local/process-table.ts";
import {
  startDeployment,
  type DeploymentOptions,
  type TestDeployment,
} from "../../server/testing/deployment.ts";
import { until } from "../../server/testing/until.ts";
import { directoryObjectStore } from "../../server/adapters/directory/object-store.ts";
import { deploymentPaths } from "../../server/supervisor/deployment.ts";
import { markOf } from "../history/format.ts";
import { readStores, type RunState } from "./read-stores.ts";
import { commonOrder, recordingClient, type RecordingClient } from "./recording-client.ts";
import type { SentMessage, TrafficRecord } from "./record.ts";

/** A deployment to crash, with its database at hand. */
export interface CrashSite {
  readonly deployment: TestDeployment;
  /** As its owner; reconnects by itself. */
  readonly database: Pool;
  /** Clients and sessions of their own for one test, closed when it ends. */
  traffic(options?: TrafficOptions): Promise<Traffic>;
  /** Process of an instance, which is waited for; without asking the supervisor. */
  pidOf(instance: string): Promise<number>;
  /** Sends the signal now; nothing is waited for. */
  signal(instance: string, signal: NodeJS.Signals): Promise<void>;
  /** The instance whose worker executes the run. Waits for it. */
  holderOf(runId: string): Promise<string>;
  /** The run, once it is as told. */
  run(runId: string, is: (run: RunState) => boolean, timeoutMs?: number): Promise<RunState>;
  /** Resolves when the model has been called for the message so many times. */
  modelAsked(sent: SentMessage, times?: number): Promise<void>;
  close(): Promise<void>;
}

export interface TrafficOptions {
  readonly clients?: number;
  readonly sessions?: number;
  /** Instances that the clients know, in this order; default all gateways, each client beginning with another one. */
  readonly gateways?: readonly string[];
}

export interface Traffic {
  readonly clients: readonly RecordingClient[];
  readonly sessions: readonly string[];
  /** Sends the next message, from client and to session in turn unless told. Answers its key. */
  send(options?: SendOptions): SentMessage;
  /** Sends on and on until it is stopped. */
  stream(options: SendOptions & { readonly everyMs: number }): { stop(): Promise<void> };
  /** Resolves when the gateway's promise for this message is there. */
  acknowledged(sent: SentMessage, timeoutMs?: number): Promise<void>;
  /** Resolves when every message has its end. */
  ended(timeoutMs?: number): Promise<void>;
  record(): Promise<TrafficRecord>;
}

export interface SendOptions {
  readonly client?: number;
  readonly session?: number;
  /** For the demo model, as server/demo-model/directives.ts reads them. */
  readonly directives?: string;
  readonly words?: string;
}

/** Starts the deployment. Call `close` when the test file is over. */
export async function crashSite(options: DeploymentOptions = {}): Promise<CrashSite> {
  const deployment = await startDeployment(options);
  const [view, env] = await Promise.all([deployment.status(), deployment.env()]);
  const modelUrl = String(view.demoModel?.url);
  const urls = new Map(view.instances.map(({ id, url }) => [id, String(url)]));
  const gateways = view.instances.filter(({ pool }) => pool === "gateway").map(({ id }) => id);
  const token = String(env["OPENCLAW_GATEWAY_TOKEN"]);
  const database = new Pool({
    connectionString: env["DATABASE_URL"],
    max: 4,
    connectionTimeoutMillis: 2_000,
  });
  database.on("error", () => {});
  const objects = directoryObjectStore({ dir: deploymentPaths(deployment.dataDir).objects });
  const stores = readStores(database, modelUrl, objects);
  let traffics = 0;

  const pidOf = (instance: string): Promise<number> =>
    until(
      async () => {
        const file = join(deployment.dataDir, "run", `${instance}.json`);
        const { pid, identity } = JSON.parse(await readFile(file, "utf8")) as {
          pid: number;
          identity: string;
        };
        return processIdentity(pid) === identity ? pid : null;
      },
      { what: `a process of ${instance}`, timeoutMs: 30_000, pollMs: 10 },
    );

  return {
    deployment,
    database,
    pidOf,
    async modelAsked({ key }, times = 1) {
      const asked = async () => (await stores.modelCalls()).filter(({ text }) => text.includes(markOf(key)));
      await until(async () => (await asked()).length >= times, {
        what: `model call ${times} for ${key}`,
        timeoutMs: 30_000,
        pollMs: 10,
      });
    },
    async traffic({ clients: count = 1, gateways: known = gateways, sessions: wanted = 1 } = {}) {
      const name = `t${++traffics}`;
      const order = commonOrder();
      const sessions = Array.from({ length: wanted }, (_, i) => `agent:main:${name}-${i}`);
      const clients = Array.from({ length: count }, (_, i) =>
        recordingClient({
          name: `${name}.${i}`,
          urls: known.map((_gateway, j) => String(urls.get(String(known[(i + j) % known.length])))),
          token,
          order,
        }),
      );
      onTestFinished(async () => {
        await Promise.all(clients.map((client) => client.close()));
      });
      let sends = 0;
      const send = ({ client, directives, session, words = "" }: SendOptions = {}): SentMessage => {
        const n = sends++;
        const key = `${name}-${n}`;
        const sender = clients[(client ?? n) % count] as RecordingClient;
        const sessionKey = sessions[(session ?? Math.floor(n / count)) % wanted] as string;
        return sender.send({ key, sessionKey, words: `${markOf(key)} ${words}`.trim(), directives });
      };
      return {
        clients,
        sessions,
        send,
        stream({ everyMs, ...message }) {
          const stopping = new AbortController();
          const sending = (async () => {
            while (!stopping.signal.aborted) {
              send(message);
              await sleep(everyMs);
            }
          })();
          return {
            stop() {
              stopping.abort();
              return sending;
            },
          };
        },
        async acknowledged(sent, timeoutMs) {
          await clients.find(({ name: client }) => client === sent.client)?.acknowledged(sent.key, timeoutMs);
        },
        async ended(timeoutMs) {
          await Promise.all(clients.map((client) => client.ended(timeoutMs)));
        },
        async record() {
          const sent = clients.flatMap((client) => client.sent);
          const heard = clients.flatMap((client) => client.heard);
          return { sent, heard, ...(await stores.read(`agent:main:${name}-`)) };
        },
      };
    },
    async signal(instance, signal) {
      process.kill(await pidOf(instance), signal);
    },
    holderOf: (runId) =>
      until(() => stores.holderOf(runId), { what: `a holder of ${runId}`, timeoutMs: 20_000, pollMs: 5 }),
    run: (runId, is, timeoutMs = 30_000) =>
      until(
        async () => {
          const run = await stores.run(runId);
          return run !== null && is(run) ? run : null;
        },
        { what: `the state of ${runId} that was waited for`, timeoutMs, pollMs: 10 },
      ),
    async close() {
      await database.end();
      await deployment.close();
    },
  };
}
