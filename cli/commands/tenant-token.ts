import { Command, InvalidArgumentError } from "commander";
import { HAError } from "../../server/core/errors.ts";
import { tenantId } from "../../server/core/ids.ts";
import type { CliContext } from "../context.ts";
import type { GivenToken } from "../tenants/give-token.ts";
import { tokenRow, tokensText } from "../tenants/tenant-rows.ts";

interface TokenFlags {
  readonly label: string;
  readonly scopes: readonly string[];
  readonly replace?: boolean;
}

const SCOPES = ["operator.read", "operator.write", "operator.admin"];

export const tokenCommand = (context: CliContext): Command =>
  new Command("token")
    .description("make another token of a tenant and print it, this once; list and revoke tokens")
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
  openclaw-ha tenant token acme --label operator --replace      # a new one for the first, which may have leaked
  openclaw-ha tenant token list acme`,
    )
    .action(async (id: string, flags: TokenFlags) => {
      const [{ giveToken }, { withDirectory }] = await useCases();
      const given = await withDirectory(context, (opened) =>
        giveToken(opened, tenantId(id), { ...flags, replace: flags.replace === true }),
      );
      context.output.progress(`token ${given.label} of tenant ${id}, shown this once:`);
      context.output.result({ tenant: id, ...given }, ({ token }: GivenToken) => token);
    })
    .addCommand(listTokens(context))
    .addCommand(revokeToken(context));

const listTokens = (context: CliContext): Command =>
  new Command("list")
    .description("a tenant's tokens, the newest first; what they are is not shown again")
    .argument("<tenant>", "whose")
    .addHelpText("after", "\nExample:\n  openclaw-ha tenant token list acme --json")
    .action(async (id: string) => {
      const [, { knownTenant, withDirectory }] = await useCases();
      const tokens = await withDirectory(context, async ({ directory }) => {
        const tenant = await knownTenant(directory, tenantId(id));
        return directory.tokens(tenant.id);
      });
      context.output.result(tokens.map(tokenRow), tokensText);
    });

const revokeToken = (context: CliContext): Command =>
  new Command("revoke")
    .description("make a token void; its connections are closed within seconds")
    .argument("<tenant>", "whose")
    .argument("[token]", "its id, or the beginning of it, as `tenant token list` shows it")
    .option("--label <text>", "all tokens of this label", parseLabel)
    .addHelpText(
      "after",
      `
Examples:
  openclaw-ha tenant token revoke acme 3f1c9a
  openclaw-ha tenant token revoke acme --label ci`,
    )
    .action(async (id: string, begins: string | undefined, _flags, command: Command) => {
      // `token` has a --label of its own, which commander takes for both.
      const { label } = command.optsWithGlobals<{ label?: string }>();
      const which = begins === undefined ? labelled(command, label) : null;
      const [, { knownTenant, withDirectory }] = await useCases();
      const revoked = await withDirectory(context, async ({ directory }) => {
        const tenant = await knownTenant(directory, tenantId(id));
        const named = which ?? { id: oneToken(await directory.tokens(tenant.id), begins ?? "") };
        return directory.revokeTokens(tenant.id, named);
      });
      context.output.result({ tenant: id, revoked }, () =>
        revoked === 1 ? "1 token is void" : `${revoked} tokens are void`,
      );
    });

function labelled(command: Command, label: string | undefined): { readonly label: string } {
  const said =
    command.getOptionValueSource("label") === "cli" ||
    command.parent?.getOptionValueSource("label") === "cli";
  if (said && label !== undefined) return { label };
  throw new HAError("REQUEST_INVALID", "say which token: its id, or --label", {
    hint: "openclaw-ha tenant token list TENANT",
  });
}

/** @throws HAError NOT_FOUND, or REQUEST_INVALID where more than one begins so */
function oneToken(tokens: readonly { readonly id: string }[], begins: string): string {
  const found = tokens.filter(({ id }) => begins !== "" && id.startsWith(begins.toLowerCase()));
  if (found.length === 1 && found[0]) return found[0].id;
  throw found.length === 0
    ? new HAError("NOT_FOUND", `no token of this tenant begins with ${JSON.stringify(begins)}`, {
        hint: "openclaw-ha tenant token list TENANT",
      })
    : new HAError("REQUEST_INVALID", `${found.length} tokens begin with ${JSON.stringify(begins)}`, {
        hint: "give more of its id",
      });
}

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
const useCases = () =>
  Promise.all([import("../tenants/give-token.ts"), import("../tenants/with-directory.ts")]);
