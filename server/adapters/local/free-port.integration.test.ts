import { createServer } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { freePorts, isPortFree } from "./free-port.ts";

it("finds different free ports, outside of the range that outgoing connections get", async () => {
  const ports = await freePorts(20);
  expect(new Set(ports).size).toBe(20);
  expect(Math.min(...ports)).toBeGreaterThanOrEqual(20_000);
  expect(Math.max(...ports)).toBeLessThan(30_000);
  for (const port of ports) expect(await isPortFree(port)).toBe(true);
});

it.each(["127.0.0.1", "0.0.0.0"])("sees that a port is taken by a listener on %s", async (host) => {
  const [port] = await freePorts(1);
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(port, host, resolve));
  onTestFinished(() => void taken.close());
  expect(await isPortFree(port!)).toBe(false);
});
