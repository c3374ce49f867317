import { request } from "node:http";

/** `silent`: no answer within the time, or no connection; `unready`: it answered, but not with 200. */
export type ProbeAnswer = "ready" | "unready" | "silent";

/** Asks an instance over HTTP whether it is ready. Never rejects. */
export function probeReady(url: string, timeoutMs: number): Promise<ProbeAnswer> {
  return new Promise((resolve) => {
    // A connection of its own each time: what is asked is also whether a new connection is accepted.
    const asked = request(url, { agent: false, timeout: timeoutMs }, (response) => {
      response.resume();
      resolve(response.statusCode === 200 ? "ready" : "unready");
    });
    asked.on("timeout", () => asked.destroy());
    asked.on("error", () => resolve("silent"));
    asked.on("close", () => resolve("silent"));
    asked.end();
  });
}
