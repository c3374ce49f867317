import { connect } from "node:net";

const TIMEOUT_MS = 1_000;

/**
 * Connects to a port of 127.0.0.1, sends the request and reads until the answer matches.
 * @returns what was read up to then; null when the server refused, closed or did not answer so within a second
 */
export function askTcp(port: number, request: string, wanted: RegExp): Promise<string | null> {
  return new Promise((resolve) => {
    let answer = "";
    const socket = connect({ host: "127.0.0.1", port, timeout: TIMEOUT_MS });
    const end = (result: string | null): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(result);
    };
    const timer = setTimeout(() => end(null), TIMEOUT_MS);
    socket.setEncoding("utf8");
    socket.on("connect", () => socket.write(request));
    socket.on("data", (chunk: string) => {
      answer += chunk;
      if (wanted.test(answer)) end(answer);
    });
    socket.on("error", () => end(null));
    socket.on("close", () => end(null));
  });
}
