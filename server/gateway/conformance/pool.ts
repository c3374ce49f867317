import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startDeployment } from "../../testing/deployment.ts";
import type { RunningTarget } from "./script.ts";

const { version } = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8")) as {
  version: string;
};

/** A deployment of this checkout with two gateways, configured by the same openclaw.json; clients meet both. */
export async function startPool(
  folder: string,
  config: Readonly<Record<string, unknown>>,
): Promise<RunningTarget> {
  const file = join(folder, "openclaw.json");
  await writeFile(file, JSON.stringify(config), { mode: 0o600 });
  const deployment = await startDeployment({ gateways: 2, workers: 2, args: ["--openclaw-config", file] });
  const { instances } = await deployment.status();
  const env = await deployment.env();
  return {
    name: "pool",
    urls: instances.filter(({ pool }) => pool === "gateway").map(({ url }) => String(url)),
    token: String(env["OPENCLAW_GATEWAY_TOKEN"]),
    versions: [version],
    close: () => deployment.close(),
  };
}
