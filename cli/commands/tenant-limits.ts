import { Command, InvalidArgumentError } from "commander";
import { tenantId } from "../../server/core/ids.ts";
import { LIMIT_NAMES, type LimitName, type LimitSettings } from "../../server/core/tenant-limits.ts";
import type { CliContext } from "../context.ts";
import { limitsText, tenantRow } from "../tenants/tenant-rows.ts";

/** `none`: no limit. `default`: what the deployment says of all tenants. */
type Choice = number | "none" | "default";

const WHAT: Readonly<Record<LimitName, string>> = {
  requestsPerMinute: "messages and HTTP requests that ask for a run",
  tokensPerMinute: "tokens of its models, in and out, charged when a run ends",
  concurrentRuns: "sessions that have something to do at the same time",
  queuedRuns: "accepted runs that have not begun",
  sessions: "sessions that exist",
  storageBytes: "bytes of transcripts and attachments",
};

/** A flag `--requests-per-minute` for the limit `requestsPerMinute`. */
const flagOf = (name: LimitName): string =>
  `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} <n>`;

export function limitsCommand(context: CliContext): Command {
  const command = new Command("limits")
    .description("show what a tenant may use, or change it while it is in use")
    .argument("<tenant>", "its id")
    .addHelpText(
      "after",
      `
A number, \`none\` for no limit, or \`default\` for what openclaw-ha.yaml says of all tenants; what is left out stays.
Gateways go by it within seconds. Beyond a limit clients get 429, or a retryable error, with the time to wait.

Examples:
  openclaw-ha tenant limits acme
  openclaw-ha tenant limits acme --requests-per-minute 600 --queued-runs 1000
  openclaw-ha tenant limits acme --queued-runs none --requests-per-minute default`,
    );
  for (const name of LIMIT_NAMES) command.option(flagOf(name), WHAT[name], parseLimit);
  return command.action(async (id: string, flags: { readonly [Name in LimitName]?: Choice }) => {
    const { knownTenant, withDirectory } = await import("../tenants/with-directory.ts");
    const changed = await withDirectory(context, async ({ directory }) => {
      const tenant = await knownTenant(directory, tenantId(id));
      if (Object.keys(flags).length === 0) return tenant;
      await directory.setLimits(tenant.id, changedLimits(tenant.limits, flags));
      return knownTenant(directory, tenant.id);
    });
    context.output.result(tenantRow(changed), ({ effectiveLimits }) => limitsText(effectiveLimits));
  });
}

function changedLimits(
  limits: LimitSettings,
  choices: { readonly [Name in LimitName]?: Choice },
): LimitSettings {
  const changed: { [Name in LimitName]?: number | null } = { ...limits };
  for (const name of LIMIT_NAMES) {
    const choice = choices[name];
    if (choice === "default") delete changed[name];
    else if (choice !== undefined) changed[name] = choice === "none" ? null : choice;
  }
  return changed;
}

function parseLimit(text: string): Choice {
  if (text === "none" || text === "default") return text;
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= 1 && Number.isSafeInteger(number)) return number;
  throw new InvalidArgumentError("use a whole number from 1 on, none, or default");
}
