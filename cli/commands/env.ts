import { connect } from "node:net";
import { Command } from "commander";
import type { CliContext } from "../context.ts";
import type { DeploymentAddresses } from "../../server/supervisor/addresses.ts";

export const envCommand = (context: CliContext): Command =>
  new Command("env")
    .description("print addresses and tokens as shell exports; secrets included, on purpose")
    .option("--tenant <tenant>", "whose token", "default")
    .addHelpText("after", '\nExample: eval "$(openclaw-ha env)"')
    .action(async (flags: { tenant: string }) => {
      const { loadDeployment, tokenOf } = await import("../deployment.ts");
      const { addresses, state } = await loadDeployment(context.deployment);
      const own = await tokenOf(context, flags.tenant, addresses);
      if (!(await listens(addresses.httpUrl))) {
        context.output.warning(
          `deployment ${JSON.stringify(state.name)} does not answer on ${addresses.httpUrl}; ` +
            "these are the addresses that it will have again (openclaw-ha status, openclaw-ha up)",
        );
      }
      context.output.result(environment(addresses, own), exports);
    });

/** Names that OpenClaw's and OpenAI's clients, psql and redis-cli users already know. */
function environment(addresses: DeploymentAddresses, token: string): Record<string, string> {
  return {
    OPENCLAW_GATEWAY_URL: addresses.gatewayUrl,
    OPENCLAW_GATEWAY_TOKEN: token,
    OPENAI_BASE_URL: `${addresses.httpUrl}/v1`,
    OPENAI_API_KEY: token,
    // The UI takes the token out of its address, where it never leaves the browser.
    ...(addresses.controlUiUrl === null
      ? {}
      : { OPENCLAW_CONTROL_UI_URL: `${addresses.controlUiUrl}#token=${encodeURIComponent(token)}` }),
    // The owner's access: the application's role sees no row without a tenant set.
    DATABASE_URL: addresses.postgresAdminUrl,
    REDIS_URL: addresses.redisUrl,
    ...(addresses.natsUrl === null ? {} : { NATS_URL: addresses.natsUrl }),
  };
}

const exports = (variables: Record<string, string>): string =>
  Object.entries(variables)
    .map(([name, value]) => `export ${name}=${shellQuote(value)}`)
    .join("\n");

/** One word for every POSIX shell, whatever is in it. */
export const shellQuote = (value: string): string => `'${value.replaceAll("'", `'\\''`)}'`;

/** Whether something accepts connections at a local address; a quarter second is long on this machine. */
function listens(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port) });
    const answer = (up: boolean): void => {
      socket.destroy();
      resolve(up);
    };
    socket.setTimeout(250, () => answer(false));
    socket.once("connect", () => answer(true)).once("error", () => answer(false));
  });
}
