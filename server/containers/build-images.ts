import { homedir } from "node:os";
import { fileURLToPath } from "node:url";
import { programFolders } from "../adapters/local/find-program.ts";
import { asHAError, ERROR_CATALOG } from "../core/errors.ts";
import { dockerCli, requireEngine } from "./docker.ts";
import { ensureImages, givenImages } from "./images.ts";
import { IMAGE_NAMES, type ImageName } from "./image-recipes.ts";

/**
 * `node server/containers/build-images.ts [NAME…]` (`npm run images`): makes the named images, or all, and prints
 * `NAME REFERENCE` lines. Progress is on stderr; exit 69 says what this machine lacks.
 */
const packageRoot = fileURLToPath(new URL("../../", import.meta.url));
const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !(IMAGE_NAMES as readonly string[]).includes(name));

try {
  if (unknown.length > 0) {
    process.stderr.write(
      `error: no image is called ${unknown.join(", ")}\nhint: ${IMAGE_NAMES.join(", ")}\n`,
    );
    process.exitCode = 2;
  } else {
    await requireEngine();
    const images = await ensureImages(asked.length > 0 ? (asked as ImageName[]) : IMAGE_NAMES, {
      docker: dockerCli,
      packageRoot,
      programs: programFolders(packageRoot, process.env["PATH"] ?? "", homedir()),
      given: givenImages(process.env),
      onProgress: (text) => void process.stderr.write(`${text}\n`),
    });
    for (const [name, reference] of Object.entries(images)) process.stdout.write(`${name} ${reference}\n`);
  }
} catch (thrown) {
  const { code, details, message } = asHAError(thrown);
  const { hint, stderr } = details;
  const lines = [`error: ${message}`];
  if (typeof stderr === "string") lines.push(stderr);
  if (typeof hint === "string") lines.push(`hint: ${hint}`);
  process.stderr.write(`${lines.join("\n")}\n`);
  process.exitCode = ERROR_CATALOG[code].exitCode;
}
