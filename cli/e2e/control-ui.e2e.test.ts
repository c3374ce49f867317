import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { connectSocket } from "../../server/testing/socket-client.ts";
import { startDeployment, type TestDeployment } from "../../server/testing/deployment.ts";
import { until } from "../../server/testing/until.ts";
import { openPage, startBrowser, type TestPage } from "../testing/browser.ts";

/** Of the package that bin/test installs. */
const PACKAGE = fileURLToPath(new URL("../../.cache/openclaw/node_modules/openclaw", import.meta.url));
/** Of whatever the page shows by itself: it starts in 3 s on two busy cores. */
const SHOWN = { timeout: 30_000 };

/** A red square of 8 by 8. */
const PNG = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEklEQVR4nGP4z8CAFWEXHbQSACj/P8Fu7N9hAAAAAElFTkSuQmCC",
  "base64",
);

let deployment: TestDeployment;
let browser: Browser;
let url: string;

beforeAll(async () => {
  if (!existsSync(PACKAGE)) throw new Error("openclaw is not installed: run `bin/test e2e` once");
  [browser, deployment] = await Promise.all([
    startBrowser(),
    startDeployment({ args: ["--control-ui", PACKAGE] }),
  ]);
  url = String((await deployment.env())["OPENCLAW_CONTROL_UI_URL"]);
  for (const name of ["alpha", "beta"]) {
    await deployment.cli(["send", `first words of ${name}`, "--session", name]);
  }
  return async () => {
    await browser.close();
    await deployment.close();
  };
});

/** The UI with its composer ready, in a browser that has never seen it. */
async function open(path = ""): Promise<TestPage> {
  const { hash, origin } = new URL(url);
  const opened = await openPage(browser, `${origin}/${path}${hash}`);
  onTestFinished(() => opened.page.context().close());
  await composer(opened.page).waitFor(SHOWN);
  return opened;
}

const composer = (page: Page) => page.getByPlaceholder("Message main");
const sidebarRow = (page: Page, text: string) =>
  page.locator(".sidebar-recent-session__name", { hasText: text });
/** What stands in the conversation, by its text. */
const bubble = (page: Page, text: string) => page.locator(".chat-bubble", { hasText: text });
const answer = (page: Page, text: string) =>
  page.locator(".chat-group.assistant .chat-bubble", { hasText: text });

/** Kills the gateway that has the page's socket, and waits for the next one. */
async function killGateway({ sockets }: TestPage): Promise<void> {
  const before = sockets();
  await deployment.kill(await gatewayOf());
  await until(() => sockets() > before, { what: "another socket", timeoutMs: 30_000 });
}

async function say(page: Page, text: string): Promise<void> {
  const box = page.locator("textarea:visible").first(); // its placeholder is another one beside an attachment
  await box.fill(text);
  await box.press("Enter");
}

/** The gateway that has the page's socket. */
async function gatewayOf(): Promise<string> {
  const { instances } = await deployment.status();
  for (const { id, pool, url: own } of instances) {
    if (pool !== "gateway") continue;
    const metrics = await (await fetch(`${String(own).replace(/^ws/, "http")}/metrics`)).text();
    if (/^openclaw_ha_gateway_connections\{[^}]*\} [1-9]/m.test(metrics)) return id;
  }
  throw new Error("no gateway has a connection");
}

describe("the genuine Control UI, unmodified, in a browser", () => {
  it("loads, shows the sessions there are, and opens one", async () => {
    const { page, faults, screenshot } = await open();
    await sidebarRow(page, "first words of beta").waitFor(SHOWN);
    await sidebarRow(page, "first words of alpha").click();
    await bubble(page, "You said: first words of alpha").waitFor(SHOWN);
    await screenshot("1-session");
    expect(page.url()).toMatch(/\/chat\/main\/alpha$/);
    expect(await bubble(page, "first words of alpha").count()).toBe(2); // the question and its echo
    expect(faults).toEqual([]);
  });

  it("loads under a deep path too", async () => {
    const { page, faults } = await open("chat/main/beta");
    await bubble(page, "You said: first words of beta").waitFor(SHOWN);
    expect(faults).toEqual([]);
  });

  it("sends, streams, and shows the answer once, also after a reload", async () => {
    const { page, faults, screenshot } = await open();
    await say(page, "[[demo chunks=15 delay=150]] what a browser says");
    await answer(page, "You said: what a browser").waitFor(SHOWN);
    expect(await answer(page, "to get real answers.").count()).toBe(0); // the rest is still to come
    await screenshot("2-streaming");
    await answer(page, "to get real answers.").waitFor(SHOWN);
    await screenshot("3-answered");
    expect(await answer(page, "what a browser says").count()).toBe(1);
    await page.reload();
    await answer(page, "to get real answers.").waitFor(SHOWN);
    expect(await bubble(page, "what a browser says").count()).toBe(2); // the question and its echo
    expect(faults).toEqual([]);
  });

  it("shows the row of a tool that the agent used, and of its subagent only what the agent tells", async () => {
    const { page, faults, screenshot } = await open("chat/main/beta");
    await say(
      page,
      '[[demo text="I send somebody." tool=sessions_spawn{"task":"count to three","label":"counting"}]] ' +
        '[[demo text="It is on its way."]] and?',
    );
    await answer(page, "It is on its way.").waitFor(SHOWN);
    const told = answer(page, 'My subagent "counting" has ended: completed.');
    await told.waitFor(SHOWN);
    await screenshot("4-tool");
    await page.getByText("Sub-agent", { exact: true }).waitFor(SHOWN);
    const asItIs = async (): Promise<void> => {
      for (const text of ["I send somebody.", "It is on its way.", "has ended: completed."]) {
        expect(await answer(page, text).count()).toBe(1);
      }
      expect(await page.getByText("OPENCLAW_INTERNAL_CONTEXT").count()).toBe(0);
      expect(await page.locator(".chat-group.user .chat-bubble").count()).toBe(2);
    };
    await asItIs();
    await page.reload();
    await told.waitFor(SHOWN);
    await screenshot("4-tool-reloaded");
    await asItIs();
    expect(faults).toEqual([]);
  });

  it("shows a cron job on its page, and that it has run", async () => {
    const env = await deployment.env();
    const client = await connectSocket(String(env["OPENCLAW_GATEWAY_URL"]), {
      token: String(env["OPENCLAW_GATEWAY_TOKEN"]),
    });
    const { id } = await client.ok("cron.add", {
      name: "the hourly tick",
      schedule: { kind: "every", everyMs: 3_600_000 },
      sessionTarget: "isolated",
      wakeMode: "now",
      payload: { kind: "agentTurn", message: "the time has come" },
    });
    await client.ok("cron.run", { id, mode: "force" });
    await client.close();
    const { page, faults, screenshot } = await open();
    const { hash, origin } = new URL(url);
    await page.goto(`${origin}/cron${hash}`);
    await page.getByText("the hourly tick").first().waitFor(SHOWN);
    await page.getByText("just now").first().waitFor(SHOWN);
    await screenshot("c-cron");
    expect(faults).toEqual([]);
  });

  it("renames and deletes sessions", async () => {
    const { page, screenshot } = await open();
    const choose = async (row: string, action: string): Promise<void> => {
      await sidebarRow(page, row).click({ button: "right" });
      await page.getByRole("menuitem", { name: action }).filter({ visible: true }).first().click();
    };
    await sidebarRow(page, "first words of alpha").waitFor(SHOWN);
    await choose("first words of alpha", "Rename");
    await page.getByRole("dialog", { name: "Rename session" }).waitFor(SHOWN);
    await page.keyboard.type("renamed by hand");
    await page.getByRole("button", { name: "Save" }).click();
    await sidebarRow(page, "renamed by hand").waitFor(SHOWN);
    await screenshot("5-renamed");
    await choose("first words of beta", "Delete");
    await page
      .getByRole("button", { name: /^Delete/ })
      .filter({ visible: true })
      .last()
      .waitFor(SHOWN);
    await screenshot("6-asked");
    await page
      .getByRole("button", { name: /^Delete/ })
      .filter({ visible: true })
      .last()
      .click();
    await sidebarRow(page, "first words of beta").waitFor({ ...SHOWN, state: "hidden" });
    await screenshot("7-deleted");
    const sessions = (await deployment.cli(["sessions", "list", "--json"])).json();
    const text = JSON.stringify(sessions);
    expect(text).toContain("renamed by hand");
    expect(text).not.toContain("agent:main:beta");
  });

  it("survives the death of its gateway: the answer goes on elsewhere, no bubble doubled or lost", async () => {
    const opened = await open("chat/main/alpha");
    const { page, screenshot } = opened;
    let loads = 0;
    page.on("load", () => loads++);
    for (const time of ["first", "second"]) {
      const question = `who is there the ${time} time`;
      await say(page, `[[demo chunks=30 delay=100]] ${question}`);
      await answer(page, "You said: who is").last().waitFor(SHOWN);
      await killGateway(opened);
      const whole = `${question} (This is the built-in demo model. Name a real one in openclaw.json to get real answers.)`;
      await answer(page, whole).waitFor(SHOWN);
      await until(async () => (await answer(page, question).count()) === 1, { what: "one answer" });
      await screenshot(`8-gateway-killed-${time}`);
      await deployment.ready();
    }
    await say(page, "and again");
    await answer(page, "You said: and again").waitFor(SHOWN);
    await screenshot("9-and-again");
    for (const time of ["first", "second"]) {
      expect(await bubble(page, `who is there the ${time} time`).count()).toBe(2); // the question and its echo
    }
    expect(loads).toBe(0); // the page went on as it was
  });

  it("shows a picture that was sent, also after a reload, and the line where the session was compacted", async () => {
    const { page, faults, screenshot } = await open("chat/main/alpha");
    await page
      .locator("input[type=file]")
      .first()
      .setInputFiles({ name: "red.png", mimeType: "image/png", buffer: PNG });
    await say(page, "look at this");
    await answer(page, "look at this").waitFor(SHOWN);
    await page.reload();
    await answer(page, "look at this").waitFor(SHOWN);
    const shown = page.locator(".chat-group.user img").last();
    await shown.waitFor(SHOWN);
    await until(
      () => shown.evaluate((image) => (image as unknown as { naturalWidth: number }).naturalWidth === 8),
      {
        what: "the picture",
      },
    );
    await screenshot("a-picture");
    await say(page, "/compact");
    await page.keyboard.press("Enter"); // the first one takes the command from the list
    const line = page.getByText(/compacted/i).first();
    await line.waitFor(SHOWN);
    await page.reload();
    await line.waitFor(SHOWN);
    await screenshot("b-compacted");
    expect(faults).toEqual([]);
  });
});
