import { isPortFree } from "../adapters/local/free-port.ts";
import { asHAError, HAError, withHint } from "../core/errors.ts";
import type { InstanceSpec } from "../ports/provisioner.ts";
import type { DeploymentBook } from "./book.ts";
import { APP_ROLE } from "./contract.ts";
import type { ApplyRequest, Progress, SizeWish, SupervisorDatabase, TenantOfPool } from "./contract.ts";
import type { DesiredTopology } from "./deployment.ts";
import { instanceNames, instanceSpecs } from "./instances.ts";
import { portAllocator, publicPortTaken } from "./ports.ts";
import type { PortAllocator } from "./ports.ts";
import { untilReady } from "./ready.ts";
import { externalStoresAway } from "./store-health.ts";
import { combined } from "./stores.ts";
import type { SupervisorParts } from "./parts.ts";

export interface Goal {
  readonly desired: DesiredTopology;
  /** Instances run already, and the stores are to be those that they use. */
  readonly takeover: boolean;
  /** What the database is told of the pools' sizes. */
  readonly wishes: readonly SizeWish[];
  /** Tenants that there are to be, and limits that are to hold. */
  readonly tenants: readonly TenantOfPool[];
  readonly limits: ApplyRequest["limits"];
}

/**
 * Makes the deployment be as desired: addresses, stores, schema, instances, in this order, and resolves when all
 * instances are ready. Whatever runs already is adopted. Killed anywhere in here, the next one goes on from what is
 * on disk: each step is idempotent, and what was given out (ports, addresses) is written down before it is used.
 * A store that is away stops it before anything has changed, except in a takeover: instances that run already must not
 * go unwatched meanwhile, so they are adopted, and the store is tried again in the background.
 * @throws HAError saying what failed; the signal's reason when it aborts
 */
export async function converge(
  parts: SupervisorParts,
  { desired, limits, takeover, tenants, wishes }: Goal,
  progress: Progress,
  giveUp: AbortSignal,
): Promise<void> {
  const { book, provisioner, stores } = parts;
  const away = await externalStoresAway(desired, book.secrets().urls);
  if (!takeover) throwFirst(away);
  const ports = portAllocator(book.state().ports, parts.random);
  await choosePublicPort(parts, desired, ports);
  await book.save({ ports: ports.ports() });

  const failures = [...away, ...(await stores.ensure(desired, ports, takeover, progress))];
  await book.save({ ports: ports.ports() });
  if (!takeover) throwFirst(failures);
  giveUp.throwIfAborted();

  await rememberUrls(parts, desired);
  try {
    await prepareDatabase(parts, desired, { limits, tenants, wishes }, progress);
  } catch (error) {
    if (!takeover) throw error;
    failures.push(asHAError(error));
  }
  giveUp.throwIfAborted();

  await chooseInstancePorts(parts, desired, ports);
  await book.save({ ports: ports.ports() });
  await provisioner.apply(specsOf(book, desired), (id) => progress(`replacing ${id}`));
  await untilReady(provisioner, parts.clock, progress, giveUp);
  await stores.retire(desired, progress);
  throwFirst(failures);
}

/**
 * Makes the pools as large as desired, where everything else is as it was. Resolves when what is new was started and
 * what is too much has drained.
 */
export async function resize(parts: SupervisorParts, desired: DesiredTopology): Promise<void> {
  const { book, provisioner } = parts;
  const ports = portAllocator(book.state().ports, parts.random);
  await chooseInstancePorts(parts, desired, ports);
  await book.save({ desired, ports: ports.ports() });
  await provisioner.apply(specsOf(book, desired));
}

/**
 * The instances of a topology under the addresses of this deployment, without those that an operator has drained.
 * @throws HAError STORE_UNAVAILABLE while a store has no address
 */
export function specsOf(book: DeploymentBook, desired: DesiredTopology): InstanceSpec[] {
  const addresses = book.addresses();
  if (addresses === null) {
    throw new HAError("STORE_UNAVAILABLE", "a store of the deployment has no address yet", {
      hint: "see `openclaw-ha logs postgres` and `openclaw-ha logs redis`",
    });
  }
  const { drained, ports, program } = book.state();
  const specs = instanceSpecs({
    desired,
    addresses,
    ports,
    program,
    environment: book.secrets().environment,
  });
  return specs.filter(({ id }) => !drained.includes(id));
}

/** True when the process that the instance's record names is alive. */
export async function instanceRuns({ records, processes }: SupervisorParts, id: string): Promise<boolean> {
  const record = await records.read(id);
  return record !== null && processes.identify(record.pid) === record.identity;
}

async function choosePublicPort(
  parts: SupervisorParts,
  desired: DesiredTopology,
  ports: PortAllocator,
): Promise<void> {
  const promised = ports.ports()["public"];
  const wanted = desired.port === 0 ? promised : desired.port;
  const ours = wanted === promised && (await anyGatewayRuns(parts));
  if (wanted !== undefined && (ours || (await isPortFree(wanted)))) return ports.set("public", wanted);
  if (desired.port !== 0) throw publicPortTaken(desired.port);
  await ports.renew("public");
}

async function anyGatewayRuns(parts: SupervisorParts): Promise<boolean> {
  const gateways = (await parts.provisioner.known()).filter((id) => id.startsWith("gateway-"));
  for (const id of gateways) if (await instanceRuns(parts, id)) return true;
  return false;
}

/** A port promised earlier stays, unless somebody took it while the instance was down. */
async function chooseInstancePorts(
  parts: SupervisorParts,
  desired: DesiredTopology,
  ports: PortAllocator,
): Promise<void> {
  for (const { id } of instanceNames(desired)) {
    const port = await ports.forName(id);
    if (!(await instanceRuns(parts, id)) && !(await isPortFree(port))) await ports.renew(id);
  }
}

async function rememberUrls({ book, stores }: SupervisorParts, desired: DesiredTopology): Promise<void> {
  const secrets = book.secrets();
  const urls = { ...secrets.urls };
  const postgres = stores.current("postgres");
  if (desired.postgres.mode === "embedded" && postgres !== null) {
    urls.postgresAdmin = postgres.url;
    urls.postgres = asRole(postgres.url, APP_ROLE, secrets.postgresAppPassword);
  }
  const redis = stores.current("redis");
  if (desired.redis.mode === "local" && redis !== null) urls.redis = redis.url;
  await book.saveSecrets({ ...secrets, urls });
}

async function prepareDatabase(
  { book, database }: SupervisorParts,
  desired: DesiredTopology,
  { limits, tenants, wishes }: Pick<Goal, "limits" | "tenants" | "wishes">,
  progress: Progress,
): Promise<void> {
  const { gatewayToken: token, postgresAppPassword, urls } = book.secrets();
  const { postgresAdmin: adminUrl } = urls;
  if (adminUrl === undefined) {
    throw new HAError("STORE_UNAVAILABLE", "PostgreSQL has no address yet", {
      hint: "see `openclaw-ha logs postgres`",
    });
  }
  progress("migrating the database");
  const appPassword = desired.postgres.mode === "embedded" ? postgresAppPassword : null;
  try {
    await database.migrate({ adminUrl, appPassword, onProgress: progress });
  } catch (thrown) {
    throw withHint(
      asHAError(thrown),
      "STORE_UNAVAILABLE",
      desired.postgres.mode === "embedded"
        ? "see `openclaw-ha logs postgres`"
        : "check --postgres-url, and that it runs",
    );
  }
  await database.prepareTenant({ url: adminUrl, token });
  if (tenants.length > 0 || limits !== undefined) {
    tellTenants(await database.ensureTenants({ url: adminUrl, tenants, limits }), tenants, progress);
  }
  await database.saveSizes({ url: adminUrl, wishes });
}

/** Runs of a tenant that is elsewhere go on there: moving it is an order of its own. */
function tellTenants(
  { added, elsewhere }: Awaited<ReturnType<SupervisorDatabase["ensureTenants"]>>,
  tenants: readonly TenantOfPool[],
  progress: Progress,
): void {
  if (added > 0)
    progress(`tenants added: ${added}; make each a token with \`openclaw-ha tenant token TENANT\``);
  for (const { id, pool } of elsewhere) {
    const wanted = tenants.find((tenant) => tenant.id === id)?.pool ?? pool;
    progress(
      `tenant ${id} stays in pool ${pool}, where its runs are; to move it: openclaw-ha tenant move ${id} ${wanted}`,
    );
  }
}

/** The same database for another role. */
function asRole(url: string, role: string, password: string): string {
  const changed = new URL(url);
  changed.username = role;
  changed.password = encodeURIComponent(password);
  return changed.href;
}

function throwFirst(failures: readonly HAError[]): void {
  const failure = combined(failures);
  if (failure !== null) throw failure;
}
