import { isRecord } from "../openclaw-config/read-document.ts";
import { jsonSchema, schemaAt, settingsOf } from "./known-keys.ts";

/** Where a setting may be said besides openclaw-ha.yaml. */
export interface OtherPlaces {
  readonly flag?: string;
  readonly env?: string;
}

/** Flags of `up` go over variables, these over openclaw-ha.yaml. */
export const OTHER_PLACES: Readonly<Record<string, OtherPlaces>> = {
  topology: { flag: "TOPOLOGY", env: "OPENCLAW_HA_TOPOLOGY" },
  port: { flag: "--port", env: "OPENCLAW_HA_PORT" },
  logLevel: { env: "OPENCLAW_HA_LOG_LEVEL" },
  "openclaw.config": { flag: "--openclaw-config", env: "OPENCLAW_HA_OPENCLAW_CONFIG" },
  "openclaw.home": { flag: "--openclaw-home", env: "OPENCLAW_HA_OPENCLAW_HOME" },
  "openclaw.controlUi": { flag: "--control-ui", env: "OPENCLAW_HA_CONTROL_UI" },
  "pools.gateway.instances": { flag: "--gateways", env: "OPENCLAW_HA_GATEWAYS" },
  "pools.worker.instances": { flag: "--workers", env: "OPENCLAW_HA_WORKERS" },
  "pools.worker.slots": { env: "OPENCLAW_HA_SLOTS" },
  "stores.postgres.url": { flag: "--postgres-url", env: "OPENCLAW_HA_POSTGRES_URL" },
  "stores.redis.url": { flag: "--redis-url", env: "OPENCLAW_HA_REDIS_URL" },
  "stores.nats.url": { flag: "--nats-url", env: "OPENCLAW_HA_NATS_URL" },
  "stores.objects.bucket": { flag: "--s3-bucket", env: "OPENCLAW_HA_S3_BUCKET" },
  "stores.objects.endpoint": { flag: "--s3-endpoint", env: "OPENCLAW_HA_S3_ENDPOINT" },
  "stores.objects.region": { flag: "--s3-region", env: "OPENCLAW_HA_S3_REGION" },
};

/**
 * Every setting as a row of a Markdown table: its key, its default as the reference file has it, where else it may be
 * said, and what it means.
 */
export function settingsTable(reference: unknown): string {
  const schema = jsonSchema();
  const rows = settingsOf(schema).map((key) => {
    const { env, flag } = OTHER_PLACES[key] ?? {};
    const { description } = schemaAt(schema, key.split("."));
    const meaning = typeof description === "string" ? description : "";
    return [code(key), defaultOf(reference, key.split(".")), code(flag), code(env), meaning];
  });
  return [
    ["key", "default", "flag of `up`", "variable", "what it says"],
    Array<string>(5).fill("---"),
    ...rows,
  ]
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`)
    .join("\n");
}

const code = (text: string | undefined): string => (text === undefined ? "" : `\`${text}\``);

/** Empty for groups, whose keys have rows of their own, and where the default is that nothing is said. */
function defaultOf(reference: unknown, key: readonly string[]): string {
  let value = reference;
  for (const part of key) value = isRecord(value) ? value[part] : undefined;
  const isGroup = isRecord(value) && Object.keys(value).length > 0;
  return value === undefined || isGroup
    ? ""
    : `\`${typeof value === "string" ? value : JSON.stringify(value)}\``;
}
