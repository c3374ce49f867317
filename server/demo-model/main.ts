import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { HAError } from "../core/errors.ts";
import type { Logger } from "../ports/logger.ts";
import { noScript, readScript } from "./script.ts";
import { demoModelHandler } from "./server.ts";

export interface DemoModelOptions {
  /** Default 127.0.0.1: the demo model knows no keys, so nobody else may reach it. */
  readonly host?: string;
  /** 0: a free one. */
  readonly port: number;
  /** Rules for messages that carry no directives (script.ts). */
  readonly scriptFile?: string;
  readonly logger: Logger;
}

export interface DemoModelHandle {
  /** Base URL of the OpenAI interface: `http://127.0.0.1:PORT/v1`. */
  readonly url: string;
  readonly port: number;
  /** Cuts what is in flight and stops listening. */
  close(): Promise<void>;
}

/** Longer than any client keeps an idle connection, so that no request meets a socket that is being closed. */
const KEEP_ALIVE_MS = 120_000;

/**
 * Starts the built-in model: an HTTP server that speaks OpenAI chat completions and needs no key, network or file.
 * What it answers is set by directives in the message (directives.ts) or by a script.
 * @throws HAError CONFIG_INVALID for a bad script, a port that is taken or an address that is not ours
 */
export async function startDemoModel(options: DemoModelOptions): Promise<DemoModelHandle> {
  const { host = "127.0.0.1", logger } = options;
  const script = options.scriptFile === undefined ? noScript() : await readScript(options.scriptFile);
  const server = createServer(demoModelHandler(script, logger));
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.requestTimeout = 0; // a script may take its time
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => {
      const where = `${host}:${options.port}`;
      reject(
        new HAError(
          "CONFIG_INVALID",
          `the demo model cannot listen on ${where}: ${error.message}`,
          {},
          { cause: error },
        ),
      );
    });
    server.listen(options.port, host, () => resolve());
  });
  const { port } = server.address() as AddressInfo;
  logger.info("demo_model.listening", { host, port });
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${port}/v1`,
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
