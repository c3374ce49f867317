import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import {
  cleanEnvironment,
  PROGRAM,
  startDeployment,
  type TestDeployment,
} from "../../server/testing/deployment.ts";
import { startTerminal, type Terminal } from "../testing/terminal.ts";
import { until } from "../../server/testing/until.ts";
import { lastingView } from "../testing/lasting-view.ts";

let deployment: TestDeployment;
beforeAll(async () => {
  deployment = await startDeployment({ gateways: 1, workers: 1 });
  return () => deployment.close();
});

/** A command line as one would type it, and arguments that hold blanks. */
const words = (typed: string, ...more: readonly string[]): string[] => [...typed.split(" "), ...more];

/** How often the demo model was asked something that holds the text. */
async function modelCalls(text: string): Promise<number> {
  const { demoModel } = await deployment.status();
  const report = (await (await fetch(`${demoModel?.url}/__demo/calls`)).json()) as {
    calls: { text: string }[];
  };
  return report.calls.filter((call) => call.text.includes(text)).length;
}

describe("up, status and env", () => {
  it("up --json and status --json tell the same, in the shape that scripts rely on", async () => {
    const view = await deployment.status();
    expect(view).toMatchObject({
      name: "default",
      topology: "v2",
      phase: "ready",
      dataDir: deployment.dataDir,
      gateway: { url: expect.stringMatching(/^ws:/), httpUrl: expect.stringMatching(/^http:/) },
      supervisor: { pid: expect.any(Number) },
      stores: {
        postgres: { mode: "embedded", healthy: true, pid: expect.any(Number) },
        redis: { mode: "local", healthy: true, pid: expect.any(Number) },
        objects: { mode: "directory", healthy: true },
      },
      tenants: [{ id: "default", pool: "shared" }],
      queue: { ready: expect.any(Number), running: expect.any(Number), oldestReadyMs: expect.any(Number) },
    });
    for (const instance of view.instances) {
      expect(instance).toMatchObject({
        id: expect.stringMatching(/^(gateway|worker|control)-1$/),
        pool: expect.stringMatching(/^(gateway|worker|control)$/),
        pid: expect.any(Number),
        url: expect.stringMatching(/^(ws|http):\/\/127\.0\.0\.1:\d+$/),
        state: "ready",
        startedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
        restarts: 0,
      });
    }
    const again = await deployment.up();
    expect(lastingView(again)).toEqual(lastingView(view));
    expect(view.activity).toMatchObject({
      loads: [{ instance: "gateway-1" }, { instance: "worker-1", slots: expect.any(Number) }],
      running: [],
      failures: [],
    });
    expect(view.stores["redis"]?.latencyMs).toBeGreaterThan(0);
  });

  it("every gateway answers its probes and metrics", async () => {
    const { gateway } = await deployment.status();
    for (const path of ["/healthz", "/readyz"]) {
      expect((await fetch(`${gateway?.httpUrl}${path}`)).status).toBe(200);
    }
    const metrics = await fetch(`${gateway?.httpUrl}/metrics`);
    expect(metrics.headers.get("content-type")).toContain("text/plain");
    expect(await metrics.text()).toMatch(/^# TYPE \w+ (counter|gauge|histogram)$/m);
  });

  it("env is shell exports that a shell takes as they are, or the same as JSON", async () => {
    const variables = await deployment.env();
    expect(Object.keys(variables)).toEqual(
      expect.arrayContaining([
        "OPENCLAW_GATEWAY_URL",
        "OPENCLAW_GATEWAY_TOKEN",
        "OPENAI_BASE_URL",
        "OPENAI_API_KEY",
        "DATABASE_URL",
        "REDIS_URL",
      ]),
    );
    const { stdout: exports } = await deployment.cli(["env"]);
    const { stdout } = await promisify(execFile)("sh", ["-c", `${exports}\nenv`], { env: {} });
    const shell = new Map(
      stdout.split("\n").map((line) => [line.split("=", 1)[0], line.slice(line.indexOf("=") + 1)]),
    );
    for (const [name, value] of Object.entries(variables)) expect(shell.get(name)).toBe(value);
  });

  it("a pipe gets neither colours nor animation", async () => {
    const piped = await deployment.cli(["status"]);
    expect(piped.stdout).toContain("is ready");
    expect(piped.stdout + piped.stderr).not.toContain("\u001B");
    const watched = await deployment.cli(["status", "--watch", "--json"], {
      signal: AbortSignal.timeout(3_000),
    });
    expect(watched.lines()[0]).toMatchObject({ phase: "ready" });
    expect(watched.stdout).not.toContain("\u001B");
  });

  it("doctor finds nothing wrong", async () => {
    const { exitCode, json } = await deployment.cli(["doctor", "--json"]);
    expect(exitCode).toBe(0);
    const { verdict, findings } = json() as { verdict: string; findings: { severity: string }[] };
    expect(verdict).toBe("ok");
    expect(findings.filter(({ severity }) => severity === "error")).toEqual([]);
  });

  it("logs are merged, limited and told apart by pool or instance", async () => {
    const all = (await deployment.cli(["logs", "--lines", "all", "--json"])).lines();
    const instances = new Set(all.map(({ instance }) => instance));
    expect([...instances]).toEqual(
      expect.arrayContaining(["gateway-1", "worker-1", "control-1", "postgres", "supervisor"]),
    );
    const worker = (await deployment.cli(["logs", "worker", "--lines", "2", "--json"])).lines();
    expect(worker.map(({ instance }) => instance)).toEqual(["worker-1", "worker-1"]);
    expect((await deployment.cli(["logs", "nobody"])).exitCode).toBe(1);
  });

  it("no log holds a secret or a message", async () => {
    await deployment.cli(["send", "a-text-that-is-nobodys-business", "--session", "private"]);
    const {
      OPENCLAW_GATEWAY_TOKEN: token,
      DATABASE_URL: database,
      REDIS_URL: redis,
    } = await deployment.env();
    const { stdout } = await deployment.cli(["logs", "--lines", "all"]);
    const secrets = [token, new URL(String(database)).password, new URL(String(redis)).password];
    for (const secret of [...secrets, "nobodys-business"]) expect(stdout).not.toContain(secret);
  });
});

describe("status --watch", () => {
  /** The live screen in a real terminal. */
  async function watching(env: Readonly<Record<string, string>> = {}): Promise<Terminal> {
    const terminal = await startTerminal({
      command: ["sh", "-c", `'${PROGRAM}' --data-dir '${deployment.dataDir}' status --watch; exec sh`],
      cwd: deployment.folder,
      env: { ...cleanEnvironment(deployment.folder), TERM: "xterm-256color", ...env },
      columns: 80,
      rows: 24,
    });
    onTestFinished(() => terminal.close());
    return terminal;
  }

  it("shows runs and failures on 80 by 24 characters, opens one live, and leaves a clean terminal", async () => {
    await deployment.cli(["send", "[[demo status=401]] refused", "--session", "refused"]);
    const argv = ["send", '[[demo text="river " repeat=90 chunks=90 delay=100]] slowly', "--no-wait"];
    await deployment.cli([...argv, "--session", "slow"]);
    const terminal = await watching();
    const screen = await terminal.shows("agent:main:slow");
    expect(screen.split("\n").filter(Boolean).length).toBeLessThanOrEqual(24);
    expect(screen).toMatch(/gateway-1 +ready/);
    expect(screen).toMatch(/agent:main:refus\S+ +failed +model_auth/);
    await terminal.press("3");
    await terminal.press("Enter");
    await terminal.shows(/started on demo[^]*river river/);
    await terminal.press("l");
    await terminal.shows("Logs of run");
    await terminal.press("Escape");
    await terminal.shows("Enter open");
    await terminal.enter("/session:refused");
    await terminal.shows("3 Running (0 of 1)");
    await terminal.press("C-c");
    const left = await terminal.shows(/^[$#] *$/m);
    expect(left).not.toMatch(/Instances|Failures/);
  });

  it("drains an instance after a yes, in a small window without colour", async () => {
    const terminal = await watching({ NO_COLOR: "1" });
    await terminal.shows(/> gateway-1/);
    await terminal.resize(60, 16);
    for (const key of ["Down", "Down", "d"]) await terminal.press(key);
    await terminal.shows("drain control-1?");
    await terminal.press("y");
    const drained = await terminal.shows(/control-1 +stopped/);
    expect(drained).toContain("control-1 is drained");
    await terminal.press("q");
    await deployment.cli(["scale", "worker=1"]);
  });
});

describe("send", () => {
  it("streams the answer as text", async () => {
    expect(await deployment.cli(["send", "good morning"])).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining("You said: good morning") as unknown,
      stderr: "",
    });
  });

  it("--json prints one event a line, the result last, and nothing else", async () => {
    const sent = await deployment.cli(["send", "[[demo chunks=5 delay=100]] five pieces", "--json"]);
    expect(sent).toMatchObject({ exitCode: 0, stderr: "" });
    const events = sent.lines();
    const result = events.at(-1);
    expect(result).toMatchObject({
      type: "result",
      sessionKey: "agent:main:main",
      status: "ok",
      text: expect.stringContaining("five pieces") as unknown,
      usage: { input: expect.any(Number), output: expect.any(Number) },
    });
    expect(events[0]).toMatchObject({ type: "accepted", runId: result?.["runId"] });
    const deltas = events.filter(({ type }) => type === "delta");
    expect(deltas.length).toBeGreaterThan(1);
    expect(deltas.map(({ text }) => text).join("")).toBe(result?.["text"]);
  });

  it("asks the model once for a key that is sent twice, and answers both times", async () => {
    const argv = ["send", "only-once please", "--idempotency-key", "twice", "--json"];
    const answers = [await deployment.cli(argv), await deployment.cli(argv)];
    const [first, second] = answers.map((answer) => answer.lines().at(-1));
    expect(first).toMatchObject({ type: "result", runId: "twice", status: "ok" });
    expect(second).toMatchObject({ runId: "twice", status: "ok", text: first?.["text"] });
    expect(await modelCalls("only-once")).toBe(1);
  });

  it("exits 1 for a key that named another message or another session", async () => {
    await deployment.cli(["send", "first", "--idempotency-key", "taken"]);
    for (const other of [
      ["send", "second"],
      ["send", "first", "--session", "elsewhere"],
    ]) {
      const refused = await deployment.cli([...other, "--idempotency-key", "taken", "--json"]);
      expect(refused.exitCode).toBe(1);
      expect(refused.lines().at(-1)).toMatchObject({ error: { code: "REQUEST_CONFLICT" } });
    }
  });

  it("reads the message from stdin, and exits 2 where there is none", async () => {
    const piped = await deployment.cli(["send", "-", "--json"], { stdin: "from a pipe\n" });
    expect(piped.lines().at(-1)).toMatchObject({ text: expect.stringContaining("You said: from a pipe") });
    expect((await deployment.cli(["send", "-"], { stdin: "" })).exitCode).toBe(2);
    expect((await deployment.cli(["send"])).exitCode).toBe(2);
  });

  it("with an unknown agent says which one, exit code 2", async () => {
    const { exitCode, json } = await deployment.cli(["send", "hi", "--agent", "nobody", "--json"]);
    expect(exitCode).toBe(2);
    expect(json()).toMatchObject({
      error: { code: "REQUEST_INVALID", message: expect.stringContaining("nobody") as unknown },
    });
  });
});

describe("runs", () => {
  it("--no-wait prints the run's id; list and show tell how it went on", async () => {
    const { stdout } = await deployment.cli(["send", "later", "--no-wait", "--session", "notes"]);
    const runId = stdout.trim();
    const shown = await until(
      async () => {
        const run = (await deployment.cli(["runs", "show", runId, "--json"])).json() as { status: string };
        return run.status === "succeeded" ? run : null;
      },
      { what: "the end of the run", timeoutMs: 30_000 },
    );
    expect(shown).toMatchObject({ runId, sessionKey: "agent:main:notes", attempt: 1 });
    const listed = (await deployment.cli(["runs", "list", "--session", "notes", "--json"])).json();
    expect(listed).toEqual([
      {
        runId,
        sessionKey: "agent:main:notes",
        status: "succeeded",
        attempt: 1,
        worker: expect.stringMatching(/^worker-1\./) as unknown,
        acceptedAt: expect.any(String) as unknown,
        startedAt: expect.any(String) as unknown,
        endedAt: expect.any(String) as unknown,
      },
    ]);
  });

  it("cancel ends a run that is under way and its watcher; again it exits 1", async () => {
    const watcher = deployment.cli(
      words(
        "send --idempotency-key endless --session long --json",
        "[[demo chunks=500 delay=200 repeat=50]] endless",
      ),
    );
    await until(
      async () => {
        const shown = await deployment.cli(["runs", "show", "endless", "--json"]);
        return shown.exitCode === 0 && (shown.json() as { status: string }).status === "running";
      },
      { what: "a run under way", timeoutMs: 30_000 },
    );
    const cancelled = await deployment.cli(["runs", "cancel", "endless", "--json"]);
    expect(cancelled).toMatchObject({ exitCode: 0 });
    expect(cancelled.json()).toMatchObject({ runId: "endless", status: "aborted", outcome: "aborted" });
    const seen = await watcher;
    expect(seen.exitCode).toBe(1);
    expect(seen.lines().at(-1)).toMatchObject({ type: "result", runId: "endless", status: "aborted" });
    expect((await deployment.cli(["runs", "cancel", "endless"])).exitCode).toBe(1);
  });

  it("redrive executes a failed run once more, under its own id", async () => {
    const failed = await deployment.cli(
      words("send --idempotency-key unlucky --session fails --json", "[[demo error=401]] never lucky"),
    );
    expect(failed.exitCode).toBe(1);
    expect(failed.lines().at(-1)).toMatchObject({ type: "result", runId: "unlucky", status: "error" });
    const redriven = await deployment.cli(["runs", "redrive", "unlucky", "--json"]);
    expect(redriven).toMatchObject({ exitCode: 0 });
    expect(redriven.json()).toMatchObject({ runId: "unlucky", status: "queued" });
    await until(
      async () => {
        const shown = await deployment.cli(["runs", "show", "unlucky", "--json"]);
        const { attempt, status } = shown.json() as { attempt: number; status: string };
        return attempt === 2 && status === "failed";
      },
      { what: "the end of the second try", timeoutMs: 30_000 },
    );
    expect(await modelCalls("never lucky")).toBe(2);
    expect((await deployment.cli(["runs", "redrive", "no-such-run"])).exitCode).toBe(1);
  });
});

describe("sessions", () => {
  it("list and show tell what was said, newest session first, page by page", async () => {
    for (const session of ["page-1", "page-2", "page-3"]) {
      await deployment.cli(["send", `to ${session}`, "--session", session]);
    }
    const list = async (...more: string[]): Promise<{ key: string }[]> =>
      (await deployment.cli(["sessions", "list", "--search", "page-", "--json", ...more])).json() as {
        key: string;
      }[];
    const keys = (rows: { key: string }[]): string[] => rows.map(({ key }) => key);
    expect(keys(await list())).toEqual(["agent:main:page-3", "agent:main:page-2", "agent:main:page-1"]);
    expect((await list())[0]).toEqual({
      key: "agent:main:page-3",
      sessionId: expect.any(String) as unknown,
      agentId: "main",
      updatedAt: expect.any(String) as unknown,
      messages: 2,
    });
    expect(keys(await list("--limit", "1", "--before", "agent:main:page-3"))).toEqual(["agent:main:page-2"]);
    const shown = await deployment.cli(["sessions", "show", "page-1", "--json"]);
    expect(shown.json()).toMatchObject({
      key: "agent:main:page-1",
      transcript: [
        { role: "user", text: "to page-1" },
        { role: "assistant", text: expect.stringContaining("You said: to page-1") as unknown },
      ],
    });
    expect((await deployment.cli(["sessions", "show", "no-such-session"])).exitCode).toBe(1);
  });
});
