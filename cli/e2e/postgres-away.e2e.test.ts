import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, expect, it } from "vitest";
import { startDeployment, type TestDeployment } from "../../server/testing/deployment.ts";
import type { Frame } from "../../server/testing/frame-log.ts";

let deployment: TestDeployment;
beforeAll(async () => {
  deployment = await startDeployment();
  return () => deployment.close();
});

it("while PostgreSQL is down sends are refused as retryable, and nothing that was acknowledged is lost", async () => {
  const client = await deployment.connect();
  const postgres = await deployment.pidOf("postgres");
  const answers: { readonly key: string; readonly frame: Frame }[] = [];
  const pending: Promise<void>[] = [];
  let sent = 0;
  const send = (): void => {
    const key = `k${++sent}`;
    const params = { sessionKey: `s${sent % 5}`, message: `message ${key}`, idempotencyKey: key };
    pending.push(
      client.request("chat.send", params, 60_000).then((frame) => void answers.push({ key, frame })),
    );
  };
  /** Sends on until the condition holds. */
  const sendUntil = async (done: () => boolean): Promise<void> => {
    for (const deadline = Date.now() + 60_000; !done() && Date.now() < deadline; await sleep(20)) send();
    expect(done()).toBe(true);
  };
  const acknowledged = () => answers.filter(({ frame }) => frame.ok === true);
  const refused = () => answers.filter(({ frame }) => frame.ok !== true);

  await sendUntil(() => acknowledged().length >= 20);
  // Sessions that are under way when it happens.
  for (let n = 0; n < 5; n++) {
    const params = {
      sessionKey: `slow-${n}`,
      message: "[[demo chunks=40 delay=50]] slow",
      idempotencyKey: `slow-${n}`,
    };
    await client.ok("chat.send", params);
  }
  process.kill(postgres, "SIGKILL");
  await sendUntil(() => refused().length >= 5);
  const before = acknowledged().length;
  await sendUntil(() => acknowledged().length >= before + 20);
  await Promise.all(pending);

  for (const { frame } of refused()) {
    expect(frame.error).toMatchObject({ code: "UNAVAILABLE", retryable: true });
    expect(frame.error?.retryAfterMs).toBeGreaterThan(0);
  }
  const keys = [...acknowledged().map(({ key }) => key), ...[0, 1, 2, 3, 4].map((n) => `slow-${n}`)];
  for (const key of keys) expect(await client.end(key, 90_000)).toMatchObject({ runId: key, state: "final" });
  for (const key of keys) expect(client.chats(key, "final")).toHaveLength(1);
  const view = await deployment.ready();
  expect(view.stores["postgres"]?.pid).not.toBe(postgres);
  const runs = (await deployment.cli(["runs", "list", "--limit", "all", "--json"])).json() as {
    runId: string;
    status: string;
  }[];
  const stored = new Map(runs.map(({ runId, status }) => [runId, status]));
  expect(keys.filter((key) => stored.get(key) !== "succeeded")).toEqual([]);
});
