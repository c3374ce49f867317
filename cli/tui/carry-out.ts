import { asHAError } from "../../server/core/errors.ts";
import type { CliContext } from "../context.ts";
import type { Effect } from "./screen-state.ts";

/** Does what a key asked for and says how it goes; never rejects. */
export async function carryOut(
  context: CliContext,
  effect: Exclude<Effect, { readonly kind: "quit" }>,
  say: (message: string) => void,
): Promise<void> {
  // Commands speak on stderr, where the screen is.
  const output = { ...context.output, progress: say, warning: (text: string) => say(`warning: ${text}`) };
  const quiet = { ...context, output };
  try {
    say(effect.kind === "drain" ? await drain(quiet, effect.instance) : await scale(quiet, effect.words));
  } catch (error) {
    const { details, message } = asHAError(error);
    const hint = typeof details["hint"] === "string" ? ` (${details["hint"]})` : "";
    say(`${message}${hint}`);
  }
}

async function drain(context: CliContext, instance: string): Promise<string> {
  const { drainInstance } = await import("../scale/drain-instance.ts");
  await drainInstance(context, instance);
  return `${instance} is drained`;
}

async function scale(context: CliContext, words: string): Promise<string> {
  const [{ scaleRequest }, { scaleDeployment }] = await Promise.all([
    import("../scale/scale-request.ts"),
    import("../scale/scale-deployment.ts"),
  ]);
  const request = scaleRequest(words.split(/\s+/), {}) ?? {};
  await scaleDeployment(context, request, { planOnly: false });
  return `done: ${words}`;
}
