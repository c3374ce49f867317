import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { cleanEnvironment, startDeployment, type TestDeployment } from "../../server/testing/deployment.ts";
import { startTerminal, type Terminal } from "../testing/terminal.ts";

/** Installed by bin/test: npm's openclaw@2026.9.6 as it is. */
const OPENCLAW = fileURLToPath(
  new URL("../../.cache/openclaw/node_modules/openclaw/openclaw.mjs", import.meta.url),
);
const NODE = fileURLToPath(new URL("../../node_modules/node/bin/node", import.meta.url));
/** An answer of 12 s, so that there is time to do something to it. */
const LONG = '[[demo text="river " repeat=40 chunks=40 delay=300]] tell me';

/** A screen on which no list waits for a choice. */
const NO_LIST = /^(?![^]*(Filter|search): >)/;

let deployment: TestDeployment;
let token: string;

beforeAll(async () => {
  if (!existsSync(OPENCLAW)) throw new Error("openclaw is not installed: run `bin/test e2e` once");
  deployment = await startDeployment();
  token = String((await deployment.env())["OPENCLAW_GATEWAY_TOKEN"]);
  return () => deployment.close();
});

/** The genuine `openclaw tui` on one session of the pool, in a home of its own, told of the gateway by either way. */
async function tui(session: string, toldBy: "configuration" | "flags" = "configuration"): Promise<Terminal> {
  const home = join(deployment.folder, `tui-${session}`);
  await mkdir(join(home, "state"), { recursive: true, mode: 0o700 });
  const config = join(home, "openclaw.json");
  const url = String((await deployment.env())["OPENCLAW_GATEWAY_URL"]);
  const gateway = toldBy === "flags" ? {} : { mode: "remote", remote: { url, token } };
  await writeFile(config, JSON.stringify({ gateway }), { mode: 0o600 });
  const flags = toldBy === "flags" ? ["--url", url, "--token", token] : [];
  const terminal = await startTerminal({
    command: [NODE, OPENCLAW, "tui", "--session", session, ...flags],
    cwd: home,
    env: {
      ...cleanEnvironment(home),
      TERM: "xterm-256color",
      OPENCLAW_CONFIG_PATH: config,
      OPENCLAW_STATE_DIR: join(home, "state"),
    },
  });
  onTestFinished(() => terminal.close());
  await terminal.shows("connected | idle");
  return terminal;
}

describe("openclaw tui, unmodified", () => {
  it("chats, and shows what was said when it comes back", async () => {
    const first = await tui("chat");
    await first.enter("hello from a terminal");
    await first.shows("You said: hello from a terminal");
    await first.shows("connected | idle");
    await first.close();
    const second = await tui("chat", "flags");
    const screen = await second.shows("You said: hello from a terminal");
    expect(screen.match(/You said: hello from a terminal/g)).toHaveLength(1);
  });

  it("streams an answer and stops it with Escape", async () => {
    const terminal = await tui("abort");
    await terminal.enter(LONG);
    await terminal.shows(/^ ?river river river/m);
    await terminal.press("Escape");
    await terminal.shows(/run aborted|connected \| aborted/);
    await terminal.enter("are you there");
    const screen = await terminal.shows("You said: are you there");
    expect(screen.match(/river/g)?.length).toBeLessThan(40);
  });

  it("runs its slash commands on the pool", async () => {
    const terminal = await tui("commands");
    await terminal.enter("something to forget");
    await terminal.shows("You said: something to forget");
    await terminal.enter("/status");
    await terminal.shows(/OpenClaw HA .* gateway-[12]/);
    await terminal.enter("/sessions");
    await terminal.shows(/Filter: >[^]*commands/);
    await terminal.press("Escape");
    await terminal.shows(NO_LIST);
    await terminal.enter("/model");
    await terminal.shows("Demo model");
    await terminal.press("Escape");
    await terminal.shows(NO_LIST);
    await terminal.enter("/reset");
    await terminal.shows("session agent:main:commands reset");
    await terminal.enter("after the reset");
    const screen = await terminal.shows("You said: after the reset");
    expect(screen).not.toContain("something to forget");
    await terminal.enter("/new");
    await terminal.shows(/session agent:main:tui-\S+/);
    await terminal.enter("in a session of its own");
    await terminal.shows("You said: in a session of its own");
  });

  it("goes on with its answer when both gateways are killed", async () => {
    const terminal = await tui("killed");
    await terminal.enter(LONG);
    await terminal.shows(/^ ?river river river/m);
    for (const gateway of ["gateway-1", "gateway-2"]) await deployment.kill(gateway, "SIGKILL");
    const screen = await terminal.shows(/(river\s+){40}/);
    expect(screen.match(/river/g)).toHaveLength(41); // forty of the answer, and the one of the question
    await terminal.enter("and now");
    await terminal.shows("You said: and now");
  });
});
