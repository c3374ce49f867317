import { readFile } from "node:fs/promises";
import path from "node:path";
import type { PlannedTenant } from "../../loadtest/k6/lib/plan.ts";
import type { LoadTarget } from "../../loadtest/run.ts";
import { HAError } from "../../server/core/errors.ts";
import type { DeploymentView } from "../../server/supervisor/view.ts";
import type { CliContext } from "../context.ts";
import { loadDeployment } from "../deployment.ts";
import { currentView } from "../supervisor.ts";
import { loadTenants } from "./tenants.ts";

interface TargetFlags {
  readonly url?: string;
  readonly tokenFile?: string;
}

/** A gateway behind a network may take longer to answer than one of this machine. */
const READY_TIMEOUT_MS = 5_000;

/**
 * What is to be loaded: the deployment of `--name`/`--data-dir`, or a gateway elsewhere.
 * @throws HAError NOT_RUNNING when it is not ready: a load on a sick service proves nothing, and may be its end
 */
export async function findTarget(
  context: CliContext,
  tenantCount: number,
  flags: TargetFlags,
): Promise<LoadTarget> {
  if (flags.url !== undefined) return remoteTarget(context, tenantCount, flags.url, flags.tokenFile);
  if (flags.tokenFile !== undefined) {
    throw new HAError("REQUEST_INVALID", "--token-file goes with --url", {
      hint: "the tokens of a deployment on this machine are known",
    });
  }
  const { addresses, state } = await loadDeployment(context.deployment);
  const view = await currentView(context);
  if (view.phase !== "ready") throw notReady(view);
  const tokens = await loadTenants(context, tenantCount, addresses);
  return {
    description: `deployment ${state.name} (${sizes(view)})`,
    tenants: tokens.map(({ id, token }) => ({ id, token, url: addresses.gatewayUrl })),
    httpUrl: addresses.httpUrl,
    processes: processesOf(view),
  };
}

function sizes({ topology, instances }: DeploymentView): string {
  const count = (pool: string): number => instances.filter((instance) => instance.pool === pool).length;
  const pools = [...new Set(instances.map(({ pool }) => pool))].filter((pool) => pool !== "control");
  return [topology, ...pools.map((pool) => `${pool} × ${count(pool)}`)].join(", ");
}

function processesOf({ supervisor, instances, stores, demoModel }: DeploymentView): number[] {
  const all = [
    supervisor.pid,
    demoModel?.pid,
    ...instances.map(({ pid }) => pid),
    ...Object.values(stores).map(({ pid }) => pid),
  ];
  return all.filter((pid): pid is number => typeof pid === "number");
}

function notReady({ name, phase, instances, stores, failure }: DeploymentView): HAError {
  const sick = [
    ...instances.filter(({ state }) => state !== "ready").map(({ id, state }) => `${id} is ${state}`),
    ...Object.entries(stores)
      .filter(([, { healthy }]) => !healthy)
      .map(([store]) => `${store} is not healthy`),
    ...(failure === undefined ? [] : [failure.message]),
  ];
  const why = phase === "stopped" || sick.length === 0 ? "" : `: ${sick.join(", ")}`;
  return new HAError("NOT_RUNNING", `deployment ${JSON.stringify(name)} is ${phase}, not ready${why}`, {
    phase,
    hint:
      phase === "stopped"
        ? "start it with `openclaw-ha up`"
        : "see `openclaw-ha doctor`; a load on a sick deployment proves nothing",
  });
}

async function remoteTarget(
  context: CliContext,
  tenantCount: number,
  address: string,
  tokenFile: string | undefined,
): Promise<LoadTarget> {
  const url = gatewayUrl(address);
  const tokens = await readTokens(context, tokenFile);
  if (tokens.length < tenantCount) {
    throw new HAError(
      "REQUEST_INVALID",
      `this profile needs tokens of ${tenantCount} tenants, not ${tokens.length}`,
      {
        hint: "give a --token-file with one token a line, each of another tenant",
      },
    );
  }
  const httpUrl = url.replace(/^ws/, "http").replace(/\/$/, "");
  await requireReady(httpUrl, context.signal);
  const tenants: PlannedTenant[] = tokens
    .slice(0, tenantCount)
    .map((token, n) => ({ id: `tenant-${n + 1}`, url, token }));
  return { description: url, tenants, httpUrl, processes: null };
}

/** @throws HAError REQUEST_INVALID */
function gatewayUrl(address: string): string {
  const url = URL.parse(address);
  const wanted =
    url !== null && ["ws:", "wss:"].includes(url.protocol) && url.username === "" && url.search === "";
  if (wanted) return url.href;
  throw new HAError("REQUEST_INVALID", `--url ${JSON.stringify(address)} is no address of a gateway`, {
    hint: "such as ws://127.0.0.1:18789 or wss://gateway.example, without credentials: the token goes into --token-file",
  });
}

/** @throws HAError REQUEST_INVALID; UNAUTHORIZED where there is no token at all */
async function readTokens({ cwd, env }: CliContext, file: string | undefined): Promise<string[]> {
  if (file === undefined) {
    const token = env["OPENCLAW_HA_GATEWAY_TOKEN"] || env["OPENCLAW_GATEWAY_TOKEN"];
    if (token) return [token];
    throw new HAError("UNAUTHORIZED", "no token of that gateway is known", {
      hint: "give --token-file, or set OPENCLAW_GATEWAY_TOKEN",
    });
  }
  const text = await readFile(path.resolve(cwd, file), "utf8").catch((cause: NodeJS.ErrnoException) => {
    throw new HAError(
      "REQUEST_INVALID",
      `--token-file ${file} cannot be read: ${cause.code ?? cause.message}`,
    );
  });
  const tokens = text.split("\n").map((line) => line.trim());
  return tokens.filter((line) => line !== "" && !line.startsWith("#"));
}

async function requireReady(httpUrl: string, signal: AbortSignal): Promise<void> {
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(READY_TIMEOUT_MS)]);
  const refuse = (why: string): HAError =>
    new HAError("NOT_RUNNING", `${httpUrl} is not ready: ${why}`, {
      hint: "a load on a sick service proves nothing: see its own logs and `openclaw-ha doctor` there",
    });
  const response = await fetch(`${httpUrl}/readyz`, { signal: deadline }).catch((cause: unknown) => {
    signal.throwIfAborted();
    throw refuse(
      cause instanceof Error && cause.name === "TimeoutError" ? "no answer within 5 s" : "nobody answers",
    );
  });
  if (response.status !== 200) throw refuse(`/readyz answers ${response.status}`);
}
