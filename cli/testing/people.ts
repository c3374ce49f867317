import { setTimeout as sleep } from "node:timers/promises";
import type { TestDeployment } from "../../server/testing/deployment.ts";
import type { SocketClient } from "../../server/testing/socket-client.ts";

export interface Outcome {
  readonly answered: number;
  readonly failures: readonly string[];
}

export interface People {
  /** Resolves when everybody has the answer that was under way. */
  stop(): Promise<Outcome>;
}

export interface PeopleOptions {
  readonly name: string;
  readonly count: number;
  /** What the demo model does with each message. */
  readonly directive: string;
  /** Where they begin; default the shared address. */
  readonly gateway?: string;
}

const RETRY_MS = 100;

/**
 * So many people who talk at once, each in a session of their own, one message after the other, until told to stop.
 * They begin at the address given, or at the shared one. A connection that the gateway ends is made again, and the
 * message under way is sent again under its key, as clients do, also one that was refused as retryable; everything else
 * that is not the right answer is a failure.
 */
export function talkingPeople(
  deployment: TestDeployment,
  { count, directive, gateway, name }: PeopleOptions,
): People {
  const stopping = new AbortController();
  const failures: string[] = [];
  let answered = 0;

  async function ask(client: SocketClient, session: string, runId: string): Promise<void> {
    const words = `${runId} of ${session}`;
    const message = `[[demo ${directive}]] ${words}`;
    const accepted = await client.request("chat.send", {
      sessionKey: session,
      message,
      idempotencyKey: runId,
    });
    if (accepted.error?.retryable === true) {
      // A gateway that leaves says so until it has closed the connection; the message is sent again then.
      await sleep(RETRY_MS);
      if (client.isOpen) return ask(client, session, runId);
    }
    if (!accepted.ok) throw new Error(`${runId} was refused: ${JSON.stringify(accepted.error)}`);
    // Sent again after it has ended: there is no more event to come, the history has it.
    const ended = accepted.payload?.["status"] === "ok";
    const end = ended ? await client.ok("chat.history", { sessionKey: session }) : await client.end(runId);
    const answer = ended ? (end["messages"] as unknown[]).at(-1) : end["message"];
    const sound = (ended || end["state"] === "final") && JSON.stringify(answer).includes(words);
    if (!sound) throw new Error(`${runId} ended as ${JSON.stringify(end)}`);
  }

  async function talk(person: number): Promise<void> {
    const session = `agent:main:${name}-${person}`;
    let client = await deployment.connect(gateway);
    for (let n = 1; !stopping.signal.aborted; n++) {
      const runId = `${name}-${person}-${n}`;
      for (;;) {
        try {
          await ask(client, session, runId);
          answered++;
          break;
        } catch (error) {
          const closed = client.isOpen ? null : await client.closed;
          if (closed?.code !== 1012) failures.push(String(error));
          if (closed === null) break;
          client = await deployment.connect();
        }
      }
    }
    await client.close();
  }

  const talking = Array.from({ length: count }, (_, person) =>
    talk(person).catch((error: unknown) => void failures.push(String(error))),
  );
  return {
    async stop() {
      stopping.abort();
      await Promise.all(talking);
      return { answered, failures };
    },
  };
}
