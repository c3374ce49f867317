import type { InstanceView } from "../ports/provisioner.ts";
import type { DeploymentState } from "./deployment.ts";
import { instanceNames } from "./instances.ts";
import type { Monitor } from "./monitor.ts";
import { natsAnswers, objectsAnswer, redisAnswers } from "./store-health.ts";
import type { OwnStore } from "./stores.ts";
import type { SupervisorParts } from "./parts.ts";
import { deploymentView } from "./view.ts";
import type { DeploymentView, StoreView } from "./view.ts";

/** Answers of the database that are so old are asked for again when somebody looks. */
const OBSERVATION_MAX_AGE_MS = 500;

/** Looks at a deployment from inside its supervisor. */
export interface Inspector {
  view(): Promise<DeploymentView>;
  /** Looks once and writes down what a reader of the files should know: phase and tenants, when they changed. */
  check(): Promise<void>;
}

interface Seen {
  readonly instances: readonly InstanceView[];
  readonly stores: Readonly<Record<string, StoreView>>;
  /** False when the database did not answer. */
  readonly fresh: boolean;
}

export function inspector(
  { book, logger, provisioner, stores }: SupervisorParts,
  monitor: Monitor,
): Inspector {
  const own = (name: OwnStore): Pick<StoreView, "pid" | "restarts"> => {
    const current = stores.current(name);
    return current === null ? {} : { pid: current.pid, restarts: stores.restarts(name) };
  };

  async function look(): Promise<Seen> {
    const instances = await provisioner.list();
    const addresses = book.addresses();
    const { desired, phase } = book.state();
    if (desired === null || addresses === null || phase === "stopped") {
      return { instances, stores: {}, fresh: false };
    }
    const [observation, redis, nats, objects] = await Promise.all([
      monitor.latest(OBSERVATION_MAX_AGE_MS),
      redisAnswers(addresses.redisUrl),
      addresses.natsUrl === null ? null : natsAnswers(addresses.natsUrl),
      objectsAnswer(addresses.objects),
    ]);
    if (observation !== null) book.note({ observation });
    return {
      instances,
      fresh: observation !== null,
      stores: {
        postgres: { mode: desired.postgres.mode, healthy: observation !== null, ...own("postgres") },
        redis: { mode: desired.redis.mode, healthy: redis, ...own("redis") },
        ...(nats === null ? {} : { nats: { mode: desired.nats.mode, healthy: nats } }),
        objects: { mode: desired.objects.mode, healthy: objects },
      },
    };
  }

  /** What starts, stops or is stopped says so itself; in between it is what is seen. */
  function phaseOf(seen: Seen): DeploymentState["phase"] {
    const { desired, phase } = book.state();
    if (phase !== "ready" && phase !== "degraded") return phase;
    const expected = desired === null ? 0 : instanceNames(desired).length;
    const ready = seen.instances.filter(({ state }) => state === "ready").length;
    const healthy = Object.values(seen.stores).every((store) => store.healthy);
    return healthy && ready >= expected ? "ready" : "degraded";
  }

  return {
    async view() {
      const seen = await look();
      const state = book.state();
      return deploymentView({
        dataDir: book.dataDir,
        state,
        phase: phaseOf(seen),
        supervisorPid: state.supervisor?.pid ?? null,
        ...seen,
      });
    },
    async check() {
      const tenants = JSON.stringify(book.state().observation?.tenants);
      const phase = phaseOf(await look());
      const { observation, phase: before } = book.state();
      if (phase === before && tenants === JSON.stringify(observation?.tenants)) return;
      if (phase !== before) logger.info("deployment.phase", { from: before, to: phase });
      await book.save({ phase });
    },
  };
}
