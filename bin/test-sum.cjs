"use strict";
/**
 * What vitest's JSON reports of a folder say: NAME.json, and NAME.again.json where files that failed were run once more.
 *
 *   node test-sum.cjs failed-files FOLDER NAME   the files of NAME.json that failed, one a line
 *   node test-sum.cjs sum FOLDER FAILED          names every test that failed, and every one that failed at first and
 *                                                passed alone; then prints `N passed, M failed`. Exits 1 when a test
 *                                                failed, when FAILED is not 0 (a check failed, or a run ended without a
 *                                                report), or when nothing ran at all.
 */
const fs = require("node:fs");
const path = require("node:path");

const AGAIN = ".again.json";
const [, , command, folder, argument] = process.argv;

const resultsOf = (report) => JSON.parse(fs.readFileSync(path.join(folder, report), "utf8")).testResults;
const relative = (name) => path.relative(process.cwd(), name);
const failedFiles = (results) => results.filter(({ status }) => status === "failed");

/** Name and first line of the message of all that failed; a file that could not even be loaded has no tests. */
function failuresOf(results) {
  return failedFiles(results).flatMap(({ name, message, assertionResults }) => {
    const failed = assertionResults.filter(({ status }) => status === "failed");
    if (failed.length === 0) return [{ name: relative(name), why: message }];
    return failed.map((test) => ({
      name: `${relative(name)} > ${test.fullName}`,
      why: test.failureMessages[0] ?? "",
    }));
  });
}

/** The results of a run, with those of the files that were run once more in their place. */
function lastResults(first, files, again) {
  if (!files.includes(again)) return first;
  const last = new Map(resultsOf(again).map((result) => [result.name, result]));
  return first.map((result) => last.get(result.name) ?? result);
}

function sum(runFailed) {
  const files = fs.readdirSync(folder).filter((name) => name.endsWith(".json"));
  const print = (what, { name, why }) =>
    process.stdout.write(`${what}: ${name}\n  ${why.split("\n", 1)[0]}\n`);
  let passed = 0;
  let failed = runFailed === "0" ? 0 : 1;
  if (failed) process.stdout.write("a check failed, or a run ended without a report: see above\n");
  for (const file of files.filter((name) => !name.endsWith(AGAIN))) {
    const first = resultsOf(file);
    const last = lastResults(first, files, file.replace(/\.json$/, AGAIN));
    const failures = failuresOf(last);
    for (const failure of failuresOf(first)) {
      if (!failures.some(({ name }) => name === failure.name)) print("failed once, passed alone", failure);
    }
    for (const failure of failures) print("failed", failure);
    failed += failures.length;
    passed += last
      .flatMap((result) => result.assertionResults)
      .filter(({ status }) => status === "passed").length;
  }
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
}

if (command === "failed-files") {
  for (const { name } of failedFiles(resultsOf(`${argument}.json`)))
    process.stdout.write(`${relative(name)}\n`);
} else sum(argument);
