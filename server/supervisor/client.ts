import { request as httpRequest } from "node:http";
import type { IncomingMessage } from "node:http";
import { createInterface } from "node:readline";
import { ERROR_CATALOG, HAError } from "../core/errors.ts";
import type { ErrorCode } from "../core/errors.ts";
import { machineProcesses } from "./machine.ts";
import type { ApplyRequest, Progress, ScaleRequest, UpgradeRequest } from "./contract.ts";
import type { ControlLine } from "./control-socket.ts";
import type { DeploymentState } from "./deployment.ts";
import { readDeployment } from "./deployment.ts";
import type { DeploymentView } from "./view.ts";

export type SupervisorAddress = NonNullable<DeploymentState["supervisor"]>;

/** Speaks to the supervisor of a deployment. */
export interface SupervisorClient {
  readonly pid: number;
  readonly address: SupervisorAddress;
  /** False once its process is gone. */
  isAlive(): boolean;
  /** @throws HAError NOT_RUNNING when it does not answer */
  view(): Promise<DeploymentView>;
  /** @throws HAError as the supervisor threw it; NOT_RUNNING when it ended meanwhile */
  apply(request: ApplyRequest, progress: Progress, signal: AbortSignal): Promise<DeploymentView>;
  /** @throws HAError as `apply` */
  scale(request: ScaleRequest, progress: Progress, signal: AbortSignal): Promise<DeploymentView>;
  /** @throws HAError as `apply` */
  upgrade(request: UpgradeRequest, progress: Progress, signal: AbortSignal): Promise<DeploymentView>;
  /** @throws HAError as `apply`; NOT_FOUND */
  drain(instance: string, progress: Progress, signal: AbortSignal): Promise<DeploymentView>;
  /** @throws HAError as `apply` */
  stop(progress: Progress, signal: AbortSignal): Promise<DeploymentView>;
}

/** A supervisor that does not take a connection, or not answer a status, for so long hangs. */
const STATUS_TIMEOUT_MS = 5_000;

/** The supervisor that runs a data directory now, or null where none does. */
export async function findSupervisor(dataDir: string): Promise<SupervisorClient | null> {
  const address = (await readDeployment(dataDir))?.supervisor ?? null;
  if (address === null) return null;
  const client = supervisorClient(address);
  return client.isAlive() ? client : null;
}

export function supervisorClient(address: SupervisorAddress): SupervisorClient {
  return {
    pid: address.pid,
    address,
    isAlive: () => machineProcesses.identify(address.pid) === address.birth,
    async view() {
      const response = await ask(address, "GET", "/status", null, AbortSignal.timeout(STATUS_TIMEOUT_MS));
      return JSON.parse(await textOf(response)) as DeploymentView;
    },
    apply: (request, progress, signal) => stream(address, "/apply", request, progress, signal),
    upgrade: (request, progress, signal) => stream(address, "/upgrade", request, progress, signal),
    scale: (request, progress, signal) => stream(address, "/scale", request, progress, signal),
    drain: (instance, progress, signal) => stream(address, "/drain", { instance }, progress, signal),
    stop: (progress, signal) => stream(address, "/stop", null, progress, signal),
  };
}

async function stream(
  address: SupervisorAddress,
  path: string,
  body: unknown,
  progress: Progress,
  signal: AbortSignal,
): Promise<DeploymentView> {
  const response = await ask(address, "POST", path, body, signal);
  try {
    for await (const text of createInterface({ input: response })) {
      const line = JSON.parse(text) as ControlLine;
      if ("done" in line) return line.done;
      if ("error" in line) throw asError(line.error);
      progress(line.progress);
    }
  } catch (error) {
    if (error instanceof HAError) throw error;
    signal.throwIfAborted();
    throw gone(address, error);
  }
  signal.throwIfAborted();
  throw gone(address, null);
}

function ask(
  address: SupervisorAddress,
  method: string,
  path: string,
  body: unknown,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const { url, token } = address;
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void =>
      reject(signal.aborted && method === "POST" ? signal.reason : gone(address, error));
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const asked = httpRequest(new URL(path, url), { method, headers, agent: false, signal }, (response) => {
      if (response.statusCode === 200) return resolve(response);
      textOf(response).then((text) => reject(asError(errorIn(text))), fail);
    });
    asked.on("error", fail);
    asked.end(body === null ? undefined : JSON.stringify(body));
  });
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) text += chunk as string;
  return text;
}

function errorIn(text: string): { code: string; message: string; details: Record<string, unknown> } {
  try {
    return (JSON.parse(text) as { error: ReturnType<typeof errorIn> }).error;
  } catch {
    return { code: "INTERNAL", message: "the supervisor answered something else than JSON", details: {} };
  }
}

/** The error as the supervisor threw it; a code that this release does not know is an internal one. */
function asError({ code, message, details }: ReturnType<typeof errorIn> | ErrorOf): HAError {
  return new HAError(code in ERROR_CATALOG ? (code as ErrorCode) : "INTERNAL", message, details);
}
type ErrorOf = Extract<ControlLine, { error: unknown }>["error"];

const gone = ({ pid }: SupervisorAddress, cause: unknown): HAError =>
  new HAError(
    "NOT_RUNNING",
    `the supervisor (pid ${pid}) does not answer`,
    { pid, hint: "see `openclaw-ha logs supervisor`; `openclaw-ha up` starts another one, which takes over" },
    { cause },
  );
