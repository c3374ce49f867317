import type { DeploymentState } from "./deployment.ts";
import { deploymentPaths } from "./deployment.ts";
import type { DeploymentSecrets } from "./secrets.ts";

/** Instances of a local deployment listen on the loopback interface only. */
export const LOOPBACK = "127.0.0.1";

/** Every address of a deployment, with the secrets in them. Never logged, never an argument of a process. */
export interface DeploymentAddresses {
  readonly gatewayUrl: string;
  readonly httpUrl: string;
  /** Null where no Control UI was found. */
  readonly controlUiUrl: string | null;
  /** Token of tenant `default`. */
  readonly gatewayToken: string;
  /** Owner's access: migrations, doctor. */
  readonly postgresAdminUrl: string;
  /** What serving processes use. */
  readonly postgresUrl: string;
  readonly redisUrl: string;
  readonly natsUrl: string | null;
  readonly objects:
    | { readonly mode: "directory"; readonly directory: string }
    | {
        readonly mode: "s3";
        readonly endpoint: string | null;
        readonly bucket: string;
        readonly region: string;
      };
  readonly demoModelUrl: string;
}

/** The addresses of a deployment whose stores ran at least once, or null while it has none. */
export function deploymentAddresses(
  dataDir: string,
  state: DeploymentState,
  secrets: DeploymentSecrets,
): DeploymentAddresses | null {
  const { desired, ports } = state;
  if (desired === null || ports["public"] === undefined) return null;
  const { urls } = secrets;
  if (!urls.postgresAdmin || !urls.postgres || !urls.redis) return null;
  return {
    gatewayUrl: `ws://${LOOPBACK}:${ports["public"]}`,
    httpUrl: `http://${LOOPBACK}:${ports["public"]}`,
    controlUiUrl: desired.controlUi === null ? null : `http://${LOOPBACK}:${ports["public"]}/`,
    gatewayToken: secrets.gatewayToken,
    postgresAdminUrl: urls.postgresAdmin,
    postgresUrl: urls.postgres,
    redisUrl: urls.redis,
    natsUrl: desired.nats.mode === "external" ? (urls.nats ?? null) : null,
    objects:
      desired.objects.mode === "directory"
        ? { mode: "directory", directory: deploymentPaths(dataDir).objects }
        : desired.objects,
    demoModelUrl: `http://${LOOPBACK}:${ports["demo-model"] ?? 0}/v1`,
  };
}
