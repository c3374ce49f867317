import { Command } from "commander";
import { tenantId } from "../../server/core/ids.ts";
import type { CliContext } from "../context.ts";
import { limitsText, type TenantRow, tenantRow, tokenRow, tokensText } from "../tenants/tenant-rows.ts";
import { textFields, textTable } from "../text-table.ts";
import { limitsCommand } from "./tenant-limits.ts";
import { removeCommand } from "./tenant-remove.ts";
import { tokenCommand } from "./tenant-token.ts";

export const tenantCommand = (context: CliContext): Command =>
  new Command("tenant")
    .description("tenants: who they are, what they may use, their tokens, and their end")
    .addCommand(addCommand(context))
    .addCommand(listCommand(context))
    .addCommand(showCommand(context))
    .addCommand(limitsCommand(context))
    .addCommand(moveCommand(context))
    .addCommand(disableCommand(context))
    .addCommand(enableCommand(context))
    .addCommand(tokenCommand(context))
    .addCommand(removeCommand(context));

const addCommand = (context: CliContext): Command =>
  new Command("add")
    .description("add a tenant and print its first token, which is shown this once")
    .argument("<tenant>", "its id: lower-case letters, digits, dashes and underscores, at most 63")
    .option("--pool <pool>", "whose workers execute its runs", SHARED_POOL)
    .addHelpText(
      "after",
      `
The token has all rights of an operator of that tenant. On this machine it is also kept, readable by you alone, for
\`openclaw-ha env --tenant\` and \`openclaw-ha send --tenant\`.

Examples:
  openclaw-ha tenant add acme
  TOKEN=$(openclaw-ha tenant add acme)`,
    )
    .action(async (id: string, { pool }: { pool: string }) => {
      const { output } = context;
      const [{ addTenant }, { withDirectory }] = await tenantUseCases();
      const added = await withDirectory(context, (opened) => addTenant(opened, tenantId(id), pool));
      if (pool !== SHARED_POOL) {
        output.warning(
          `runs of ${id} wait until a worker serves pool ${pool} (pools.dedicated of openclaw-ha.yaml)`,
        );
      }
      output.progress(`tenant ${id} is added; its token, shown this once:`);
      const { token, label, scopes, kept } = added;
      output.result({ ...tenantRow(added), token, label, scopes, kept }, () => token);
    });

const listCommand = (context: CliContext): Command =>
  new Command("list")
    .description("tenants, by their ids")
    .addHelpText("after", "\nExample: openclaw-ha tenant list --json")
    .action(async () => {
      const [, { withDirectory }] = await tenantUseCases();
      const tenants = await withDirectory(context, ({ directory }) => directory.tenants());
      context.output.result(tenants.map(tenantRow), listText);
    });

const listText = (rows: readonly TenantRow[]): string =>
  rows.length === 0
    ? "no tenants"
    : textTable(
        ["TENANT", "POOL", "STATE", "CREATED", "LIMITS"],
        rows.map(({ id, pool, disabled, createdAt, effectiveLimits }) => [
          id,
          pool,
          disabled ? "disabled" : "active",
          createdAt,
          limitsText(effectiveLimits),
        ]),
      );

const showCommand = (context: CliContext): Command =>
  new Command("show")
    .description("a tenant: its pool, its limits, how much of them it uses, its tokens")
    .argument("<tenant>", "its id")
    .addHelpText("after", "\nExample:\n  openclaw-ha tenant show acme --json")
    .action(async (id: string) => {
      const [, { knownTenant, withDirectory }] = await tenantUseCases();
      const shown = await withDirectory(context, async ({ directory }) => {
        const tenant = await knownTenant(directory, tenantId(id));
        const usage = await directory.usage(tenant.id);
        const tokens = (await directory.tokens(tenant.id)).map(tokenRow);
        return { ...tenantRow(tenant), usage, tokens };
      });
      context.output.result(shown, ({ usage, tokens, ...row }) =>
        [
          textFields({
            tenant: row.id,
            pool: row.pool,
            state: row.disabled ? "disabled" : "active",
            created: row.createdAt,
            limits: limitsText(row.effectiveLimits),
            sessions: usage.sessions,
            "runs running": usage.runningRuns,
            "runs queued": usage.queuedRuns,
            "bytes stored": usage.storageBytes,
          }),
          tokensText(tokens),
        ].join("\n\n"),
      );
    });

const moveCommand = (context: CliContext): Command =>
  new Command("move")
    .description("have another pool's workers execute a tenant's runs, also while it is in use")
    .argument("<tenant>", "its id")
    .requiredOption("--pool <pool>", "whose workers")
    .addHelpText(
      "after",
      `
Runs under way end where they are; what waits, and what comes, goes to the new pool. No client notices.

Examples:
  openclaw-ha tenant move acme --pool vip
  openclaw-ha tenant move acme --pool shared`,
    )
    .action(async (id: string, { pool }: { pool: string }) => {
      const [{ poolName }, { knownTenant, withDirectory }] = await tenantUseCases();
      poolName(pool);
      const record = await withDirectory(context, async ({ directory }) => {
        await directory.moveTenant(tenantId(id), pool);
        return knownTenant(directory, tenantId(id));
      });
      context.output.result(tenantRow(record), (row) => `pool ${row.pool} serves tenant ${row.id}`);
    });

const disableCommand = (context: CliContext): Command =>
  new Command("disable")
    .description("refuse a tenant's connections and runs from now on; its data stays")
    .argument("<tenant>", "its id")
    .addHelpText(
      "after",
      `
New runs are refused at once; connections are closed, and new ones refused, within seconds. What was accepted before is
still executed. \`openclaw-ha tenant enable\` lets the tenant in again.

Example: openclaw-ha tenant disable acme`,
    )
    .action((id: string) => setDisabled(context, id, true));

const enableCommand = (context: CliContext): Command =>
  new Command("enable")
    .description("let a disabled tenant in again, with the tokens that it has")
    .argument("<tenant>", "its id")
    .addHelpText("after", "\nExample: openclaw-ha tenant enable acme")
    .action((id: string) => setDisabled(context, id, false));

async function setDisabled(context: CliContext, id: string, disabled: boolean): Promise<void> {
  const [, { knownTenant, withDirectory }] = await tenantUseCases();
  const tenant = tenantId(id);
  const record = await withDirectory(context, async ({ directory }) => {
    await directory.setDisabled(tenant, disabled);
    return knownTenant(directory, tenant);
  });
  context.output.result(
    tenantRow(record),
    (row) => `tenant ${row.id} is ${disabled ? "disabled" : "active"}`,
  );
}

/** The pool that every worker serves unless it is told otherwise. */
const SHARED_POOL = "shared";
/** Loaded when they run, so that help stays fast. */
const tenantUseCases = () =>
  Promise.all([import("../tenants/give-token.ts"), import("../tenants/with-directory.ts")]);
