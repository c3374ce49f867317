import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { type Browser, chromium, type Page } from "playwright-core";
import { findProgram } from "../../server/adapters/local/find-program.ts";

/** Where screenshots lie, beside the other results of a test run. */
const SCREENSHOTS = fileURLToPath(new URL("../../.cache/test-results/control-ui/", import.meta.url));
const NAMES = ["chromium", "chromium-browser", "google-chrome"];

export interface TestPage {
  readonly page: Page;
  /** What the page could not do: failed scripts, and policies that it ran into. */
  readonly faults: readonly string[];
  /** Sockets that the page has opened so far. */
  readonly sockets: () => number;
  /** Writes `NAME.png`. */
  readonly screenshot: (name: string) => Promise<void>;
}

/**
 * This machine's Chromium without a window.
 * @throws Error where there is none
 */
export async function startBrowser(): Promise<Browser> {
  const program = findProgram(NAMES, (process.env["PATH"] ?? "").split(":"));
  if (program === null) throw new Error("there is no Chromium: run `bin/test e2e` once, which installs it");
  // Its sandbox does not start for root, as whom containers run tests; the pages are our own.
  return chromium.launch({ executablePath: program, args: ["--no-sandbox"] });
}

/** A page with a profile of its own. */
export async function openPage(browser: Browser, url: string): Promise<TestPage> {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    reducedMotion: "reduce",
  });
  const page = await context.newPage();
  const faults: string[] = [];
  let sockets = 0;
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("console", (message) => {
    if (message.text().includes("Content Security Policy")) faults.push(message.text());
  });
  page.on("websocket", () => sockets++);
  await page.goto(url);
  return {
    page,
    faults,
    sockets: () => sockets,
    screenshot: async (name) => {
      await mkdir(SCREENSHOTS, { recursive: true });
      await page.screenshot({ path: `${SCREENSHOTS}${name}.png` });
    },
  };
}
