import type { IncomingMessage } from "node:http";
import { HAError } from "../../core/errors.ts";

export interface JsonReader {
  /**
   * The request's body as JSON. What is too much is refused before it is in memory: by its declared length, else as
   * soon as the limit is passed.
   * @throws HAError REQUEST_INVALID, or OVERLOADED while all bodies together hold too much
   */
  read(request: IncomingMessage): Promise<unknown>;
}

const refused = (httpStatus: number, message: string): HAError =>
  new HAError("REQUEST_INVALID", message, { httpStatus });

/**
 * Reads bodies, at most `maxBytes` each and `maxBytesAtOnce` of all that are being read. How long one may take is the
 * server's to decide (`requestTimeout`).
 */
export function jsonReader(limits: {
  readonly maxBytes: number;
  readonly maxBytesAtOnce: number;
}): JsonReader {
  let held = 0;

  const tooLarge = (): HAError => refused(413, `Payload too large: at most ${limits.maxBytes} bytes`);

  async function collect(request: IncomingMessage): Promise<Buffer> {
    const chunks: Buffer[] = [];
    let size = 0;
    try {
      for await (const chunk of request as AsyncIterable<Buffer>) {
        size += chunk.length;
        held += chunk.length;
        if (size > limits.maxBytes) throw tooLarge();
        if (held > limits.maxBytesAtOnce) {
          throw new HAError("OVERLOADED", "too many large requests at once", { retryAfterMs: 1_000 });
        }
        chunks.push(chunk);
      }
    } catch (error) {
      if (error instanceof HAError) throw error;
      throw refused(400, "the request's body ended before it was complete");
    } finally {
      held -= size;
    }
    return Buffer.concat(chunks, size);
  }

  return {
    async read(request) {
      checkType(request);
      if (Number(request.headers["content-length"] ?? 0) > limits.maxBytes) throw tooLarge();
      const body = await collect(request);
      let text: string;
      try {
        text = UTF8.decode(body);
      } catch {
        throw refused(400, "the body is not valid UTF-8");
      }
      if (text.trim() === "") return {}; // as OpenClaw: what is missing is told by name
      try {
        return JSON.parse(text) as unknown;
      } catch (error) {
        throw refused(400, error instanceof Error ? error.message.slice(0, 200) : "invalid JSON");
      }
    },
  };
}

const UTF8 = new TextDecoder("utf-8", { fatal: true });

function checkType({ headers }: IncomingMessage): void {
  const type = (headers["content-type"] ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
  if (type !== "application/json" && !/^application\/[\w.-]+\+json$/.test(type)) {
    const sent = type === "" ? "none" : JSON.stringify(type.slice(0, 80));
    throw refused(415, `Content-Type must be application/json, not ${sent}`);
  }
  const encoding = headers["content-encoding"]?.trim().toLowerCase() ?? "identity";
  if (encoding !== "identity")
    throw refused(415, "Content-Encoding is not supported: send the body as it is");
}
