import { Command, InvalidArgumentError } from "commander";
import { tenantId } from "../../server/core/ids.ts";
import type { TenantRecord } from "../../server/ports/directory.ts";
import type { CliContext } from "../context.ts";
import { isoTime } from "../runs/run-rows.ts";
import type { GivenToken } from "../tenants/give-token.ts";
import { textTable } from "../text-table.ts";

/** A tenant as `tenant list --json` prints it: names are a contract. */
const tenantRow = ({ id, pool, disabled, createdAt }: TenantRecord) => ({
  id,
  pool,
  disabled,
  createdAt: isoTime(createdAt),
});
type TenantRow = ReturnType<typeof tenantRow>;

export const tenantCommand = (context: CliContext): Command =>
  new Command("tenant")
    .description("add, list or disable tenants, and make tokens for them")
    .addCommand(addCommand(context))
    .addCommand(listCommand(context))
    .addCommand(disableCommand(context))
    .addCommand(enableCommand(context))
    .addCommand(tokenCommand(context));

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
        ["TENANT", "POOL", "STATE", "CREATED"],
        rows.map(({ id, pool, disabled, createdAt }) => [
          id,
          pool,
          disabled ? "disabled" : "active",
          createdAt,
        ]),
      );

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
  const [, { withDirectory }] = await tenantUseCases();
  const tenant = tenantId(id);
  const record = await withDirectory(context, async ({ directory }) => {
    await directory.setDisabled(tenant, disabled);
    return (await directory.tenants()).find((known) => known.id === tenant) as TenantRecord;
  });
  context.output.result(
    tenantRow(record),
    (row) => `tenant ${row.id} is ${disabled ? "disabled" : "active"}`,
  );
}

interface TokenFlags {
  readonly label: string;
  readonly scopes: readonly string[];
  readonly replace?: boolean;
}

const tokenCommand = (context: CliContext): Command =>
  new Command("token")
    .description("make another token of a tenant and print it, this once")
    .argument("<tenant>", "whose")
    .option("--label <text>", "what tells it from the tenant's other tokens", parseLabel, "cli")
    .option("--scopes <scope,…>", `of ${SCOPES.join(", ")}; admin is all of them`, parseScopes, [
      "operator.admin",
    ])
    .option("--replace", "the tenant's other tokens of this label are void from now on")
    .addHelpText(
      "after",
      `
Examples:
  openclaw-ha tenant token acme --label ci --scopes operator.read
  openclaw-ha tenant token acme --label operator --replace      a new one for the first, which may have leaked`,
    )
    .action(async (id: string, flags: TokenFlags) => {
      const [{ giveToken }, { withDirectory }] = await tenantUseCases();
      const given = await withDirectory(context, (opened) =>
        giveToken(opened, tenantId(id), { ...flags, replace: flags.replace === true }),
      );
      context.output.progress(`token ${given.label} of tenant ${id}, shown this once:`);
      context.output.result({ tenant: id, ...given }, ({ token }: GivenToken) => token);
    });

/** The pool that every worker serves unless it is told otherwise. */
const SHARED_POOL = "shared";
const SCOPES = ["operator.read", "operator.write", "operator.admin"];

function parseScopes(text: string): string[] {
  const scopes = text
    .split(",")
    .map((scope) => scope.trim())
    .filter((scope) => scope !== "");
  const unknown = scopes.filter((scope) => !SCOPES.includes(scope));
  if (scopes.length > 0 && unknown.length === 0) return [...new Set(scopes)];
  throw new InvalidArgumentError(`${unknown.join(", ") || "nothing"} is no scope: use ${SCOPES.join(", ")}`);
}

function parseLabel(text: string): string {
  if (/^[\w.@ -]{1,64}$/.test(text)) return text;
  throw new InvalidArgumentError("use letters, digits, blanks and .-_@, at most 64");
}

/** Loaded when they run, so that help stays fast. */
const tenantUseCases = () =>
  Promise.all([import("../tenants/give-token.ts"), import("../tenants/with-directory.ts")]);
