import { connectSocket } from "../../testing/socket-client.ts";
import { until } from "../../testing/until.ts";
import type { Target } from "./script.ts";

const WARM_MS = 60_000;

/**
 * One turn, and a look at the models until they are there: a genuine gateway that has just become ready still prepares
 * them in the background, and answers without them meanwhile.
 */
export async function warm({ urls, token }: Target): Promise<void> {
  const client = await connectSocket(String(urls[0]), { token, scopes: ["operator.read", "operator.write"] });
  try {
    const sessionKey = "warm";
    await client.ok("chat.send", { sessionKey, message: "good morning", idempotencyKey: "warm" });
    await client.end("warm", WARM_MS);
    const look = { timeoutMs: WARM_MS, pollMs: 200, what: "a gateway that knows its models" };
    await until(async () => {
      const { models } = await client.ok("chat.metadata", { agentId: "main", sessionKey: "agent:main:warm" });
      const { thinkingLevel } = await client.ok("chat.history", { sessionKey: "agent:main:warm-not" });
      return Array.isArray(models) && models.length > 0 && thinkingLevel !== undefined;
    }, look);
  } finally {
    client.terminate();
  }
}
