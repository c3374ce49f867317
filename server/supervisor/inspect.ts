import type { InstanceView } from "../ports/provisioner.ts";
import type { DeploymentState, Observation } from "./deployment.ts";
import { instanceNames } from "./instances.ts";
import type { Joining } from "./joining.ts";
import type { Activity, Observed } from "./contract.ts";
import type { Monitor } from "./monitor.ts";
import { natsAnswers, objectsAnswer, redisAnswers, timed } from "./store-health.ts";
import type { OwnStore } from "./stores.ts";
import type { SupervisorParts } from "./parts.ts";
import { deploymentView } from "./view.ts";
import type { DeploymentView, StoreView } from "./view.ts";

/** Answers of the database that are so old are asked for again when somebody looks. */
const OBSERVATION_MAX_AGE_MS = 500;

/** Looks at a deployment from inside its supervisor. */
export interface Inspector {
  view(): Promise<DeploymentView>;
  /** Looks once and writes down what a reader of the files should know: phase, tenants and sizes, when they changed. */
  check(): Promise<void>;
}

/** What a reader of the files should know of an observation; a queue is another one every moment. */
const lasting = (observation: Observation | null): string =>
  JSON.stringify([observation?.tenants, observation?.sizes]);

interface Seen {
  readonly instances: readonly InstanceView[];
  readonly stores: Readonly<Record<string, StoreView>>;
  /** False when the database did not answer. */
  readonly fresh: boolean;
}

export function inspector(
  { book, logger, provisioner, stores }: SupervisorParts,
  monitor: Monitor<Observed>,
  activity: Monitor<Activity>,
  newcomers: Joining,
): Inspector {
  const own = (name: OwnStore): Pick<StoreView, "pid" | "restarts"> => {
    const current = stores.current(name);
    return current === null ? {} : { pid: current.pid, restarts: stores.restarts(name) };
  };

  async function look(): Promise<Seen> {
    const instances = await provisioner.list();
    newcomers.seen(instances);
    const addresses = book.addresses();
    const { desired, phase } = book.state();
    if (desired === null || addresses === null || phase === "stopped") {
      return { instances, stores: {}, fresh: false };
    }
    const [observation, redis, nats, objects] = await Promise.all([
      monitor.latest(OBSERVATION_MAX_AGE_MS),
      timed(redisAnswers(addresses.redisUrl)),
      addresses.natsUrl === null ? null : timed(natsAnswers(addresses.natsUrl)),
      timed(objectsAnswer(addresses.objects)),
    ]);
    if (observation !== null) book.note({ observation });
    return {
      instances,
      fresh: observation !== null,
      stores: {
        postgres: { mode: desired.postgres.mode, healthy: observation !== null, ...own("postgres") },
        redis: { mode: desired.redis.mode, ...redis, ...own("redis") },
        ...(nats === null ? {} : { nats: { mode: desired.nats.mode, ...nats } }),
        objects: { mode: desired.objects.mode, ...objects },
      },
    };
  }

  /** What starts, stops or is stopped says so itself; in between it is what is seen. */
  function phaseOf(seen: Seen): DeploymentState["phase"] {
    const { desired, drained, phase } = book.state();
    if (phase !== "ready" && phase !== "degraded") return phase;
    const ready = new Set(seen.instances.filter(({ state }) => state === "ready").map(({ id }) => id));
    const missing = (desired === null ? [] : instanceNames(desired)).filter(
      ({ id }) => !ready.has(id) && !drained.includes(id) && !newcomers.has(id),
    );
    const healthy = Object.values(seen.stores).every((store) => store.healthy);
    return healthy && missing.length === 0 ? "ready" : "degraded";
  }

  return {
    async view() {
      const seen = await look();
      const doing = seen.fresh ? await activity.latest(OBSERVATION_MAX_AGE_MS) : null;
      const state = book.state();
      return deploymentView({
        dataDir: book.dataDir,
        state,
        phase: phaseOf(seen),
        supervisorPid: state.supervisor?.pid ?? null,
        ...seen,
        activity: doing,
      });
    },
    async check() {
      const known = lasting(book.state().observation);
      const phase = phaseOf(await look());
      const { observation, phase: before } = book.state();
      if (phase === before && known === lasting(observation)) return;
      if (phase !== before) logger.info("deployment.phase", { from: before, to: phase });
      await book.save({ phase });
    },
  };
}
