import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { until } from "../../server/testing/until.ts";

export interface TerminalOptions {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly columns?: number;
  readonly rows?: number;
}

/** A program in a real terminal, driven by keys and read as a person reads it. */
export interface Terminal {
  /** What the screen shows now, one line a row. */
  screen(): Promise<string>;
  /** Waits until the screen shows it; answers that screen. @throws Error with the screen as it stands */
  shows(what: string | RegExp): Promise<string>;
  /** Types the text and presses Enter. */
  enter(text: string): Promise<void>;
  /** Presses a key by tmux's name: `Escape`, `Enter`, `C-c`. */
  press(key: string): Promise<void>;
  /** Makes the window so large. */
  resize(columns: number, rows: number): Promise<void>;
  close(): Promise<void>;
}

/** Far above what a busy machine takes to start a program. */
const SHOWS_MS = 60_000;

/**
 * Starts a program in a tmux server of its own.
 * @throws Error where there is no tmux
 */
export async function startTerminal(options: TerminalOptions): Promise<Terminal> {
  const { command, cwd, columns = 110, rows = 40 } = options;
  const folder = await mkdtemp(join(tmpdir(), "openclaw-ha-terminal-"));
  const tmux = async (...args: readonly string[]): Promise<string> =>
    (
      await execa("tmux", ["-S", join(folder, "socket"), ...args], {
        env: options.env,
        extendEnv: false,
        cwd,
      })
    ).stdout;
  const size = ["-x", String(columns), "-y", String(rows)];
  await tmux("-f", "/dev/null", "new-session", "-d", ...size, ...command);
  const screen = (): Promise<string> => tmux("capture-pane", "-p");
  return {
    screen,
    async shows(what) {
      let last = "";
      const found = async (): Promise<boolean> => {
        last = await screen();
        return typeof what === "string" ? last.includes(what) : what.test(last);
      };
      await until(found, { timeoutMs: SHOWS_MS, pollMs: 100 }).catch((cause: unknown) => {
        throw new Error(`the screen does not show ${String(what)}:\n${last}`, { cause });
      });
      return last;
    },
    async enter(text) {
      await tmux("send-keys", "-l", text);
      await tmux("send-keys", "Enter");
    },
    press: async (key) => void (await tmux("send-keys", key)),
    async resize(to, high) {
      await tmux("resize-window", "-x", String(to), "-y", String(high));
    },
    async close() {
      await tmux("kill-server").catch(() => undefined);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
