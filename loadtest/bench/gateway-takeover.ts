import type { DeploymentView } from "../../server/supervisor/view.ts";
import { pidsOf, type TestDeployment } from "../../server/testing/deployment.ts";
import { connectClient } from "./client.ts";
import { progress, rounded } from "./report.ts";
import { startStream, streamedRun } from "./streamed-run.ts";

const CLIENTS_PER_KILL = 8;

export interface GatewayTakeovers {
  /** From the kill to the next text at a client that went to the other gateway at once. */
  readonly nextEventMs: readonly number[];
}

/** Kills a gateway under clients that follow streaming runs; each reconnects to the other one and asks for the rest. */
export async function gatewayTakeovers(deployment: TestDeployment, kills: number): Promise<GatewayTakeovers> {
  const { OPENCLAW_GATEWAY_TOKEN: token } = await deployment.env();
  const nextEventMs: number[] = [];
  for (let kill = 1; kill <= kills; kill++) {
    const view = await deployment.ready();
    const [victim, other] =
      kill % 2 === 0 ? (["gateway-1", "gateway-2"] as const) : (["gateway-2", "gateway-1"] as const);
    const urls = { first: urlOf(view, victim), second: urlOf(view, other) };
    const followers = await Promise.all(
      Array.from({ length: CLIENTS_PER_KILL }, () => follower(urls, String(token))),
    );
    const killedAt = performance.now();
    process.kill(pidsOf(view)[victim]!, "SIGKILL");
    const waits = await Promise.all(followers.map(async ({ resumed }) => (await resumed) - killedAt));
    nextEventMs.push(...waits);
    await Promise.all(followers.map((one) => one.end()));
    progress(`gateway kill ${kill}: ${victim}, next event after ${waits.map(rounded).join(", ")} ms`);
  }
  return { nextEventMs };
}

interface Follower {
  /** When the first text came over the second gateway that the first one had not told. */
  readonly resumed: Promise<number>;
  end(): Promise<void>;
}

/** A client that watches a run through the first gateway, and the moment that breaks goes on through the second. */
async function follower(
  urls: { readonly first: string; readonly second: string },
  token: string,
): Promise<Follower> {
  const run = streamedRun();
  const { runId, sessionKey } = run;
  const first = await connectClient({ url: urls.first, token, onChat: (payload) => run.push(payload) });
  await startStream(first, run);
  const resume = async (): Promise<{ at: number; end: () => Promise<void> }> => {
    await first.closed;
    const afterRunSeq = run.lastRunSeq();
    const text = run.textAfter(afterRunSeq);
    const second = await connectClient({ url: urls.second, token, onChat: (payload) => run.push(payload) });
    await Promise.all([
      second.request("sessions.messages.subscribe", { key: sessionKey }),
      second.request("openclaw-ha.runs.follow", { runId, sessionKey, afterRunSeq }),
    ]);
    const at = await text;
    return {
      at,
      async end() {
        await second.request("chat.abort", { sessionKey });
        second.close();
      },
    };
  };
  const resumed = resume();
  return { resumed: resumed.then(({ at }) => at), end: async () => (await resumed).end() };
}

function urlOf(view: DeploymentView, id: string): string {
  const url = view.instances.find((instance) => instance.id === id)?.url ?? null;
  if (url === null) throw new Error(`${id} has no address`);
  return url;
}
