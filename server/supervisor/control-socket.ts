import { randomBytes, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { z } from "zod";
import { asHAError, HAError } from "../core/errors.ts";
import { LIMIT_NAMES } from "../core/tenant-limits.ts";
import type { Logger } from "../ports/logger.ts";
import { LOOPBACK } from "./addresses.ts";
import type { ApplyRequest, Progress, ScaleRequest, UpgradeRequest } from "./contract.ts";
import { desiredSchema, policyChangeSchema, poolSize, programSchema } from "./deployment.ts";
import type { DeploymentView } from "./view.ts";

/** What the socket lets others do. */
export interface ControlHandlers {
  view(): Promise<DeploymentView>;
  apply(request: ApplyRequest, progress: Progress): Promise<DeploymentView>;
  scale(request: ScaleRequest, progress: Progress): Promise<DeploymentView>;
  upgrade(request: UpgradeRequest, progress: Progress): Promise<DeploymentView>;
  drain(instance: string, progress: Progress): Promise<DeploymentView>;
  stop(progress: Progress): Promise<DeploymentView>;
}

export interface ControlSocket {
  readonly url: string;
  readonly token: string;
  close(): Promise<void>;
}

/** A line of an answer to an order. The last one is `done` or `error`. */
export type ControlLine =
  | { readonly progress: string }
  | { readonly done: DeploymentView }
  | {
      readonly error: {
        readonly code: string;
        readonly message: string;
        readonly details: Readonly<Record<string, unknown>>;
      };
    };

/** Ten thousand tenants with the longest names and all their limits fit. */
const MAX_BODY_BYTES = 4 * 1024 * 1024;

const limitSchema = z.partialRecord(z.enum(LIMIT_NAMES), z.number().nullable());

const applySchema = z.object({
  desired: desiredSchema,
  secrets: z.object({
    gatewayToken: z.string().optional(),
    postgresUrl: z.string().optional(),
    redisUrl: z.string().optional(),
    natsUrl: z.string().optional(),
    environment: z.record(z.string(), z.string()).optional(),
  }),
  tenants: z.array(z.object({ id: z.string(), pool: z.string(), limits: limitSchema.optional() })).optional(),
  limits: limitSchema.optional(),
});

const upgradeSchema = applySchema.extend({ program: programSchema.pick({ root: true, version: true }) });

const poolChange = z.object({ size: poolSize.optional(), policy: policyChangeSchema.optional() }).optional();
const scaleSchema = z.object({ gateway: poolChange, worker: poolChange });

const drainSchema = z.object({ instance: z.string().min(1) });

/**
 * The supervisor's door for the command line: HTTP on a free port of the loopback interface, for whoever can read the
 * token in the state file, which is the owner alone.
 *
 * - `GET /status`: a DeploymentView
 * - `POST /apply` with an ApplyRequest, `/upgrade` with an UpgradeRequest, `/scale` with a ScaleRequest, `/drain` with `{ instance }`, `/stop`: a stream
 *   of ControlLine, one a line
 *
 * A client that goes away changes nothing: what it asked for is carried out all the same. While one waits for its
 * `apply`, another `apply` is refused as BUSY: which of two wishes holds must not depend on which came first by chance.
 */
export async function openControlSocket(handlers: ControlHandlers, logger: Logger): Promise<ControlSocket> {
  const token = randomBytes(32).toString("base64url");
  let applying: ServerResponse | null = null;
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      logger.warn("control.request_failed", { reason: asHAError(error).message });
      if (!response.headersSent) sendJson(response, 500, errorLine(error));
      else response.end();
    });
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!authorized(request, token)) {
      return sendJson(response, 401, errorLine(new HAError("UNAUTHORIZED", "wrong control token")));
    }
    switch (`${request.method} ${request.url}`) {
      case "GET /status":
        return sendJson(response, 200, await handlers.view());
      case "POST /apply":
        if (applying !== null) return sendJson(response, 409, errorLine(busy()));
        applying = response;
        response.on("close", () => void (applying === response && (applying = null)));
        return order(request, response, applySchema, handlers.apply.bind(handlers));
      case "POST /upgrade":
        return order(request, response, upgradeSchema, handlers.upgrade.bind(handlers));
      case "POST /scale":
        return order(request, response, scaleSchema, handlers.scale.bind(handlers));
      case "POST /drain":
        return order(request, response, drainSchema, ({ instance }, progress) =>
          handlers.drain(instance, progress),
        );
      case "POST /stop":
        return stream(response, (progress) => handlers.stop(progress));
      default:
        return sendJson(
          response,
          404,
          errorLine(new HAError("NOT_FOUND", `no ${request.method} ${request.url}`)),
        );
    }
  }

  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen({ host: LOOPBACK, port: 0 }, resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${LOOPBACK}:${port}`,
    token,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      await closed;
    },
  };
}

const busy = (): HAError =>
  new HAError("BUSY", "another `openclaw-ha up` is changing this deployment", {
    hint: "let it finish (`openclaw-ha status`), look at what it made, then try again",
  });

/** Carries out an order that can be understood. */
async function order<T>(
  request: IncomingMessage,
  response: ServerResponse,
  schema: z.ZodType<T>,
  work: (asked: T, progress: Progress) => Promise<DeploymentView>,
): Promise<void> {
  const asked = schema.safeParse(await readJson(request));
  if (asked.success) return stream(response, (progress) => work(asked.data, progress));
  const problems = asked.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
  const refused = new HAError("REQUEST_INVALID", "the supervisor does not understand this request", {
    problems,
  });
  sendJson(response, 400, errorLine(refused));
}

/** Runs the work and tells how it goes; never rejects on account of a client that went away. */
async function stream(
  response: ServerResponse,
  work: (progress: Progress) => Promise<DeploymentView>,
): Promise<void> {
  response.writeHead(200, { "content-type": "application/x-ndjson", connection: "close" });
  const say = (line: ControlLine): void => void response.write(`${JSON.stringify(line)}\n`);
  response.on("error", () => {});
  try {
    say({ done: await work((progress) => say({ progress })) });
  } catch (error) {
    say(errorLine(error));
  }
  response.end();
}

function errorLine(thrown: unknown): Extract<ControlLine, { error: unknown }> {
  const { code, message, details } = asHAError(thrown);
  return { error: { code, message, details } };
}

function authorized(request: IncomingMessage, token: string): boolean {
  const given = Buffer.from(request.headers.authorization ?? "");
  const wanted = Buffer.from(`Bearer ${token}`);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw new HAError("REQUEST_INVALID", "the request is too large");
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch (error) {
    throw new HAError("REQUEST_INVALID", "the request is not JSON", {}, { cause: error });
  }
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(value));
}
