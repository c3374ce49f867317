import { createHash } from "node:crypto";
import { join } from "node:path";
import { execa } from "execa";
import { findProgram } from "../adapters/local/find-program.ts";
import { asHAError, HAError } from "../core/errors.ts";
import { contextArchive, contextHash } from "./build-context.ts";
import type { Docker } from "./docker.ts";
import { type ImageName, RECIPES, type Workshop } from "./image-recipes.ts";

/** References of images to take instead of building them, by name: `postgres:17`. The engine pulls what it lacks. */
export type GivenImages = Readonly<Partial<Record<ImageName, string>>>;

export interface ImageOptions extends Workshop {
  readonly docker: Docker;
  readonly given?: GivenImages;
  /** Debian's release and mirror that the base is made from. */
  readonly suite?: string;
  readonly mirror?: string;
  /** One line for each image that is not there yet, and one when it is. */
  readonly onProgress?: (text: string) => void;
  readonly signal?: AbortSignal;
}

/** Labels every image with its name, so that they can be listed and removed together. */
export const IMAGE_LABEL = "openclaw-ha.image";
const REPOSITORY = "openclaw-ha";
/** A slow mirror and a busy machine; usual is half a minute. */
const BUILD_TIMEOUT_MS = 900_000;
const DEBIAN_SUITE = "bookworm";
const DEBIAN_MIRROR = "http://deb.debian.org/debian";

/**
 * Makes the images that are not there yet, and what they are built on, and answers their references. Tags are made of
 * the content, so an unchanged image costs a look, and images of several checkouts lie side by side. No registry is
 * asked for anything but what is `given`.
 * @throws HAError MISSING_DEPENDENCY for what cannot be built on this machine, with the reason
 */
export async function ensureImages<Name extends ImageName>(
  names: readonly Name[],
  options: ImageOptions,
): Promise<Record<Name, string>> {
  const making = new Map<ImageName, Promise<string>>();
  const make = (name: ImageName): Promise<string> => {
    const already = making.get(name) ?? makeImage(name, make, options);
    making.set(name, already);
    return already;
  };
  const made = await Promise.all(names.map(async (name) => [name, await make(name)] as const));
  return Object.fromEntries(made) as Record<Name, string>;
}

async function makeImage(
  name: ImageName,
  make: (name: ImageName) => Promise<string>,
  options: ImageOptions,
): Promise<string> {
  const given = options.given?.[name];
  if (given !== undefined) return given;
  if (name === "base") return importBase(options);
  const { docker, signal } = options;
  const recipe = RECIPES[name];
  const parts = await recipe.context(options);
  const from = await make(recipe.from);
  const tag = tagOf(name, `${from} ${await contextHash(parts)}`);
  return built(name, tag, options, async () => {
    const argument = `${recipe.fromArgument}=${from}`;
    await docker.run(
      ["build", "--quiet", "--tag", tag, "--label", `${IMAGE_LABEL}=${name}`, "--build-arg", argument, "-"],
      { input: await contextArchive(parts), timeoutMs: BUILD_TIMEOUT_MS, signal },
    );
  });
}

/** A minimal Debian by debootstrap, imported. */
async function importBase(options: ImageOptions): Promise<string> {
  const { docker, mirror = DEBIAN_MIRROR, packageRoot, programs, signal, suite = DEBIAN_SUITE } = options;
  const folder = join(packageRoot, "templates/docker/base");
  const content = await contextHash([{ directory: folder, entries: ["rootfs.sh"] }]);
  const tag = tagOf("base", `${suite} ${mirror} ${content}`);
  return built("base", tag, options, async () => {
    if (findProgram(["debootstrap"], programs) === null || process.getuid?.() !== 0) {
      throw new HAError("MISSING_DEPENDENCY", "the base image is made by debootstrap, as root", {
        hint: "apt-get install debootstrap and run this as root once; or name an image to build on: OPENCLAW_HA_IMAGE_BASE=debian:bookworm-slim",
      });
    }
    const rootfs = execa(join(folder, "rootfs.sh"), [suite, mirror], {
      buffer: { stdout: false },
      timeout: BUILD_TIMEOUT_MS,
      ...(signal === undefined ? {} : { cancelSignal: signal }),
    });
    const change = ["--change", 'CMD ["bash"]', "--change", `LABEL ${IMAGE_LABEL}=base`];
    // A cut-off archive would be imported as far as it came: the tag is given once its maker has ended well.
    const [id] = await Promise.all([
      docker.run(["import", ...change, "-"], { input: rootfs.stdout, timeoutMs: BUILD_TIMEOUT_MS, signal }),
      rootfs,
    ]);
    await docker.run(["tag", id, tag]);
  });
}

async function built(
  name: ImageName,
  tag: string,
  { docker, onProgress }: ImageOptions,
  build: () => Promise<void>,
): Promise<string> {
  if ((await docker.run(["image", "ls", "--quiet", tag])) !== "") return tag;
  onProgress?.(`image ${name}: building`);
  const startedAt = performance.now();
  try {
    await build();
  } catch (thrown) {
    const { details, message } = asHAError(thrown);
    throw new HAError(
      "MISSING_DEPENDENCY",
      `image ${name} cannot be built: ${message}`,
      { image: name, hint: `see templates/docker/${name}; or name one to take instead`, ...details },
      { cause: thrown },
    );
  }
  onProgress?.(`image ${name}: ready after ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
  return tag;
}

function tagOf(name: ImageName, content: string): string {
  return `${REPOSITORY}/${name}:${createHash("sha256").update(content).digest("hex").slice(0, 16)}`;
}

/**
 * Images that the user names instead of having them built: OPENCLAW_HA_IMAGE_BASE, _POSTGRES, _REDIS, _NATS, _S3, _APP.
 */
export function givenImages(env: Readonly<Record<string, string | undefined>>): GivenImages {
  const given: Partial<Record<ImageName, string>> = {};
  for (const name of ["base", "postgres", "redis", "nats", "s3", "app"] as const) {
    const reference = env[`OPENCLAW_HA_IMAGE_${name.toUpperCase()}`]?.trim();
    if (reference !== undefined && reference !== "") given[name] = reference;
  }
  return given;
}
