import { freePort } from "../../../server/adapters/local/free-port.ts";
import { startContainer } from "../../../server/containers/container.ts";
import { keepPart, type PartPool } from "./part.ts";
import type { Place, Stores } from "./stores.ts";

export interface InstancesOptions extends Place {
  /** Of the program. */
  readonly image: string;
  readonly stores: Stores;
  readonly gateways: number;
  readonly workers: number;
  readonly environment?: Readonly<Record<string, string>>;
}

export interface Instances {
  readonly demoModelUrl: string;
  readonly gateways: readonly { readonly id: string; readonly url: string }[];
  /** Where this machine asks an instance whether it is ready, by id. */
  readonly readyUrls: ReadonlyMap<string, string>;
}

/** As the image sets it (templates/docker/app). */
const PORT = 18_789;
const OBJECTS_FOLDER = "/var/lib/openclaw-ha/objects";
const MODEL = "demo-model";

/** Starts the model, and then all instances of the pools side by side. */
export async function startInstances(options: InstancesOptions): Promise<Instances> {
  const { docker, gateways, image, network, owner, parts, stores, workers } = options;
  const readyUrls = new Map<string, string>();
  const objects = stores.s3 === null ? { [stores.disks.objects.volume]: OBJECTS_FOLDER } : {};

  const start = async (id: string, pool: PartPool, role: string): Promise<string> => {
    const isModel = pool === "model";
    const readyPath = isModel ? "/healthz" : "/readyz";
    const port = await freePort();
    const container = await startContainer(docker, {
      image,
      owner,
      network,
      name: id,
      command: ["serve", role],
      environment: {
        OPENCLAW_HA_INSTANCE: id,
        ...(isModel ? {} : storeEnvironment(stores)),
        ...options.environment,
      },
      volumes: isModel ? {} : objects,
      publish: { port: PORT, on: port },
      ready: (wait) => wait.forHttp(readyPath, PORT),
    });
    readyUrls.set(id, `http://127.0.0.1:${port}${readyPath}`);
    parts.push(keepPart({ ...options, id, pool, container }));
    return `127.0.0.1:${port}`;
  };
  const numbered = (pool: "gateway" | "worker", count: number) =>
    Array.from({ length: count }, async (_, n) => {
      const id = `${pool}-${n + 1}`;
      return { id, url: `ws://${await start(id, pool, pool)}` };
    });

  const model = await start(MODEL, "model", MODEL);
  const [started] = await Promise.all([
    Promise.all(numbered("gateway", gateways)),
    Promise.all(numbered("worker", workers)),
    start("control-1", "control", "control"),
  ]);
  return { demoModelUrl: `http://${model}`, gateways: started, readyUrls };
}

/** What the supervisor gives its instances, with the names that containers have on their network. */
const storeEnvironment = ({ nats, postgres, redis, s3 }: Stores): Record<string, string> => ({
  OPENCLAW_HA_POSTGRES_URL: postgres.innerAppUrl,
  OPENCLAW_HA_REDIS_URL: redis.innerUrl,
  OPENCLAW_HA_DEMO_MODEL_URL: `http://${MODEL}:${PORT}/v1`,
  ...(nats === null ? {} : { OPENCLAW_HA_NATS_URL: nats.innerUrl }),
  ...(s3 === null
    ? { OPENCLAW_HA_OBJECTS_DIR: OBJECTS_FOLDER }
    : {
        OPENCLAW_HA_S3_BUCKET: s3.bucket,
        OPENCLAW_HA_S3_REGION: s3.region,
        OPENCLAW_HA_S3_ENDPOINT: s3.innerUrl,
        AWS_ACCESS_KEY_ID: s3.accessKeyId,
        AWS_SECRET_ACCESS_KEY: s3.secretAccessKey,
      }),
});
