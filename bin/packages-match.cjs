"use strict";
/**
 * `node packages-match.cjs ROOT`: exits 0 when node_modules holds what package-lock.json asks for, completely.
 *
 * npm writes node_modules/.package-lock.json as the last step of an install. Packages for other platforms and, for
 * those who only use openclaw-ha, development packages may be missing. Runs on any Node, since it is asked before a
 * newer one is there.
 */
const fs = require("node:fs");
const path = require("node:path");

const root = process.argv[2];
const read = (file) => JSON.parse(fs.readFileSync(path.join(root, file), "utf8")).packages;

try {
  const wanted = read("package-lock.json");
  const present = read("node_modules/.package-lock.json");
  const complete = Object.keys(wanted).every((name) => {
    if (name === "") return true;
    const { version, optional, dev, devOptional, peer } = wanted[name];
    const found = present[name];
    if (found === undefined) return Boolean(optional || dev || devOptional || peer);
    return found.version === version && fs.existsSync(path.join(root, name, "package.json"));
  });
  // A package too many is harmless; one of another version was caught above.
  process.exitCode = complete ? 0 : 1;
} catch {
  process.exitCode = 1;
}
