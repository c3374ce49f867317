import { homedir } from "node:os";
import { fileURLToPath } from "node:url";
import { programFolders } from "../adapters/local/find-program.ts";
import { freePort } from "../adapters/local/free-port.ts";
import type { Container } from "../containers/container.ts";
import { createBucket } from "../containers/create-bucket.ts";
import { dockerCli } from "../containers/docker.ts";
import { ensureImages, givenImages } from "../containers/images.ts";
import type { Owner } from "../containers/ownership.ts";
import {
  type S3Container,
  startNatsContainer,
  startPostgresContainer,
  startRedisContainer,
  startS3Container,
  type StoreContainer,
  type StorePlace,
} from "../containers/store-containers.ts";
import { containerOwner } from "./keep.ts";
import type { TestS3, TestStore } from "./services.ts";

/** The stores that integration tests may have in containers. */
export const STORE_IMAGES = ["postgres", "redis", "nats", "s3"] as const;
type StoreImage = (typeof STORE_IMAGES)[number];

/** "1" or "0"; unset, global-setup.ts decides by whether an engine answers, and sets it for the test workers. */
export const CONTAINERS_VARIABLE = "OPENCLAW_HA_TEST_CONTAINERS";
export const containersWanted = (): boolean => process.env[CONTAINERS_VARIABLE] === "1";

const PACKAGE_ROOT = fileURLToPath(new URL("../../", import.meta.url));
let stores = 0;

/** References of images, made where they are not there and none is given (OPENCLAW_HA_IMAGE_…). */
export const testImages = <Name extends StoreImage>(
  names: readonly Name[],
  onProgress?: (text: string) => void,
): Promise<Record<Name, string>> =>
  ensureImages(names, {
    docker: dockerCli,
    packageRoot: PACKAGE_ROOT,
    programs: programFolders(PACKAGE_ROOT, process.env["PATH"] ?? "", homedir()),
    given: givenImages(process.env),
    onProgress,
  });

/** The PostgreSQL that all test files of a run share, kept by its keeper; answers its URL. */
export async function startSharedPostgresContainer(owner: Owner): Promise<string> {
  const { postgres: image } = await testImages(["postgres"]);
  const place = { image, owner, name: "shared-postgres", port: await freePort() };
  const { url } = await startPostgresContainer(dockerCli, place, { durable: false });
  return url;
}

export async function startContainerStore(
  kind: Exclude<StoreImage, "s3">,
  { durable = false }: { readonly durable?: boolean } = {},
): Promise<TestStore> {
  return testStore(
    await placed(kind, (place) => {
      switch (kind) {
        case "postgres":
          return startPostgresContainer(dockerCli, place, { durable });
        case "redis":
          return startRedisContainer(dockerCli, place);
        case "nats":
          return startNatsContainer(dockerCli, place);
        default:
          return kind satisfies never;
      }
    }),
  );
}

/** An S3 server with one empty bucket. */
export async function startS3ContainerStore(bucket: string): Promise<TestS3> {
  const s3 = await placed("s3", (place): Promise<S3Container> => startS3Container(dockerCli, place));
  await createBucket(s3, bucket);
  const { accessKeyId, region, secretAccessKey } = s3;
  return { ...(await testStore(s3)), bucket, region, accessKeyId, secretAccessKey };
}

/** Another process may take the port between the look and the start: then another one is as good. */
async function placed<Started>(
  image: StoreImage,
  start: (place: StorePlace) => Promise<Started>,
): Promise<Started> {
  const reference = (await testImages([image]))[image];
  const place = async (): Promise<StorePlace> => ({
    image: reference,
    owner: containerOwner(),
    name: `${image}-${process.pid}-${++stores}`,
    port: await freePort(),
  });
  try {
    return await start(await place());
  } catch {
    return start(await place());
  }
}

async function testStore({ container, url }: StoreContainer): Promise<TestStore> {
  let pid = await container.pid();
  return {
    url,
    pid: () => pid,
    kill: (signal = "SIGKILL") => killed(container, signal),
    async start() {
      if (await container.isRunning()) return;
      await container.startReady();
      pid = await container.pid();
    },
    stop: () => container.remove(),
  };
}

async function killed(container: Container, signal: NodeJS.Signals): Promise<void> {
  await Promise.all([container.exited(), container.signal(signal)]);
}
