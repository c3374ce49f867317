import { expect, it, onTestFinished } from "vitest";
import { startProbeServer } from "./probe-server.ts";

const metrics = () => Promise.resolve("up 1\n");

it("says whether the process is alive and why it is not ready, and nothing else", async () => {
  let failing: string[] = ["not registered"];
  const probe = await startProbeServer({ metrics, host: "127.0.0.1", port: 0, failing: () => failing });
  onTestFinished(() => probe.close());
  expect(await (await fetch(`${probe.url}/metrics`)).text()).toBe("up 1\n");
  const ask = async (path: string, method = "GET"): Promise<[number, string]> => {
    const response = await fetch(probe.url + path, { method });
    return [response.status, await response.text()];
  };
  expect(await ask("/healthz")).toEqual([200, '{"ok":true}']);
  expect(await ask("/readyz")).toEqual([503, '{"ok":false,"failing":["not registered"]}']);
  failing = [];
  expect(await ask("/readyz")).toEqual([200, '{"ok":true}']);
  expect(await ask("/readyz", "HEAD")).toEqual([200, ""]);
  expect((await ask("/readyz", "POST"))[0]).toBe(405);
  expect((await ask("/elsewhere"))[0]).toBe(404);
});

it("says which address is taken", async () => {
  const first = await startProbeServer({ metrics, host: "127.0.0.1", port: 0, failing: () => [] });
  onTestFinished(() => first.close());
  const { port } = new URL(first.url);
  await expect(
    startProbeServer({ metrics, host: "127.0.0.1", port: Number(port), failing: () => [] }),
  ).rejects.toMatchObject({
    code: "CONFIG_INVALID",
    message: `cannot listen on 127.0.0.1:${port} (EADDRINUSE)`,
  });
});
