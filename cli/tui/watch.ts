import type { DeploymentView } from "../../server/supervisor/view.ts";
import type { CliContext } from "../context.ts";
import { statusText } from "../status-text.ts";
import { pollingSource } from "./use-snapshot.ts";

const EVERY_MS = 1_000;
const MAX_FPS = 10;

/**
 * Shows a deployment until the signal aborts: the live screen on a terminal, else one result after another whenever
 * it has changed (with `--json` one object a line).
 */
export async function watch(
  context: CliContext,
  look: () => Promise<DeploymentView>,
  footer = "q leave",
): Promise<void> {
  const { clock, output, signal } = context;
  const source = pollingSource(look, clock, EVERY_MS);
  if (output.interactive) {
    const [{ render }, { Screen }, { h }] = await Promise.all([
      import("ink"),
      import("./screen.ts"),
      import("./h.ts"),
    ]);
    const screen = render(h(Screen, { context, footer, source }), {
      // Ctrl-C is a key like any other, so that the terminal is put back before anything else happens.
      exitOnCtrlC: false,
      alternateScreen: true,
      // Over a slow line only what has changed is sent, and not more often than anybody reads.
      incrementalRendering: true,
      maxFps: MAX_FPS,
    });
    await screen.waitUntilExit();
    return;
  }
  let told = "";
  const stop = source(({ at, view }) => {
    const now = JSON.stringify(view);
    if (now === told) return;
    told = now;
    output.event(view, () => `${statusText(view, at)}\n`);
  });
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  stop();
}
