import { asHAError, HAError } from "../core/errors.ts";
import { dockerCli, engineVersion } from "../containers/docker.ts";
import { removeOrphans } from "../containers/ownership.ts";
import { CONTAINERS_VARIABLE, STORE_IMAGES, testImages } from "./container-stores.ts";

/**
 * Decides once for a run of the integration tests where their stores come from, and says it: containers where a Docker
 * engine answers, else servers of this machine. OPENCLAW_HA_TEST_CONTAINERS=1 or 0 decides instead. What killed runs
 * left in the engine is removed first.
 * @throws HAError where containers are demanded and there can be none
 */
export default async function setup(): Promise<void> {
  const { env } = process;
  const demanded = env[CONTAINERS_VARIABLE] || undefined;
  if (demanded !== undefined && !["0", "1"].includes(demanded)) {
    throw new HAError(
      "CONFIG_INVALID",
      `${CONTAINERS_VARIABLE} is "1" or "0", not ${JSON.stringify(demanded)}`,
    );
  }
  const why = demanded === "0" ? `${CONTAINERS_VARIABLE}=0` : await whyNoContainers();
  if (why !== null && demanded === "1") {
    throw new HAError(
      "MISSING_DEPENDENCY",
      `${CONTAINERS_VARIABLE}=1, but there can be no containers: ${why}`,
    );
  }
  // Test workers and the keeper are started with this process's environment.
  env[CONTAINERS_VARIABLE] = why === null ? "1" : "0";
  say(
    why === null
      ? `stores in containers (Docker ${await engineVersion()})`
      : `stores are local servers (${why})`,
  );
}

/** Null once every image is there. */
async function whyNoContainers(): Promise<string | null> {
  if ((await engineVersion()) === null) return "no Docker engine answers";
  try {
    await removeOrphans(dockerCli);
    const images = await testImages(STORE_IMAGES, say);
    for (const name of STORE_IMAGES) process.env[`OPENCLAW_HA_IMAGE_${name.toUpperCase()}`] = images[name];
    return null;
  } catch (error) {
    return asHAError(error).message;
  }
}

const say = (text: string): void => void process.stderr.write(`integration tests: ${text}\n`);
