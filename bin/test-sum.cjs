"use strict";
/**
 * `node test-sum.cjs FAILED FOLDER`: adds up vitest's JSON reports of a folder and prints `N passed, M failed`.
 * Exits 1 when a test failed, when FAILED is not 0 (a check or a whole run failed), or when nothing ran at all.
 */
const fs = require("node:fs");
const path = require("node:path");

const [, , runFailed, folder] = process.argv;
let passed = 0;
let failed = 0;
for (const file of fs.readdirSync(folder)) {
  const report = JSON.parse(fs.readFileSync(path.join(folder, file), "utf8"));
  passed += report.numPassedTests;
  // A file that could not even be loaded has failed suites and no tests.
  failed += report.numFailedTests || report.testResults.filter(({ status }) => status === "failed").length;
}
if (runFailed !== "0" && failed === 0) {
  process.stdout.write("a check failed: see above\n");
  failed = 1;
}
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
