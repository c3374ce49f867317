import { Command } from "commander";
import type { CliContext } from "../context.ts";
import type { UpFlags } from "../desired-topology.ts";
import { parseInteger } from "../duration.ts";

interface Flags extends UpFlags {
  readonly foreground?: boolean;
  readonly install?: boolean;
  readonly plan?: boolean;
}

const POOL_MAX = 256;

export const upCommand = (context: CliContext): Command =>
  new Command("up")
    .description("start or change a deployment; returns when it is ready")
    .argument("[topology]", "v2: a gateway pool and a worker pool over shared stores (default: v2)")
    .option(
      "--port <n>",
      "public port of all gateways, 0 for any free one (default: 18789)",
      parseInteger(0, 65_535),
    )
    .option("--gateways <n>", "size of the gateway pool (default: 2)", parseInteger(0, POOL_MAX))
    .option("--workers <n>", "size of the worker pool (default: 2)", parseInteger(0, POOL_MAX))
    .option("--users <a,b,c>", "v1: one pod for each")
    .option("--openclaw-config <file>", "OpenClaw's own openclaw.json: agents, models, providers, auth")
    .option("--openclaw-home <dir>", "v0, v1: an existing state directory")
    .option("--postgres-url <url>", "default: embedded PostgreSQL")
    .option("--redis-url <url>", "default: redis-server or valkey-server of this machine")
    .option("--nats-url <url>", "event bus over NATS instead of Redis")
    .option("--s3-endpoint <url>", "object store with the S3 API (default: a directory)")
    .option("--s3-bucket <name>", "its bucket; keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    .option("--s3-region <name>", "its region (default: us-east-1)")
    .option("--control-ui <dir>", "OpenClaw's built Control UI (default: that of an installed openclaw)")
    .option("--install", "install what is missing with the system's package manager")
    .option("--plan", "show what would change, and change nothing")
    .option("--foreground", "show the dashboard, and stop the deployment when it ends")
    .addHelpText(
      "after",
      `
Flags go over OPENCLAW_HA_* variables, these over openclaw-ha.yaml (\`openclaw-ha init\` writes one), and this over what
the deployment had; on a first start the defaults hold. A change touches what it is about: the other instances go on as
the processes that they are. While one \`up\` is at work another one is refused with exit code 75. Passwords in URLs are better given as
OPENCLAW_HA_POSTGRES_URL, OPENCLAW_HA_REDIS_URL and OPENCLAW_HA_NATS_URL: arguments are visible to everyone.
Ctrl-C stops waiting, not the start: see \`openclaw-ha status\`, go on with \`up\`, or end it with \`down\`.`,
    )
    .action(async (topology: string | undefined, flags: Flags) => {
      const { bringUp } = await import("../bring-up.ts");
      await bringUp(context, topology, flags);
    });
