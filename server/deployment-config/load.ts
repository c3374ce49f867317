import { readFileSync } from "node:fs";
import { type Document, LineCounter, parseDocument } from "yaml";
import type { HAError } from "../core/errors.ts";
import { substituteReferences } from "../openclaw-config/env-references.ts";
import { configInvalid } from "../openclaw-config/problems.ts";
import { contradictions } from "./contradictions.ts";
import { type Problem, problemsOf } from "./issues.ts";
import { type KeyPath, type Place, placeOfKey, placeOfOffset } from "./places.ts";
import { type DeploymentFile, deploymentFileSchema } from "./schema.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads openclaw-ha.yaml. `${NAME}` in a value is taken from the environment, so that no password needs to stand in
 * the file.
 * @throws HAError CONFIG_INVALID with every error in `details.problems`, each with file, line, column and key
 */
export function loadDeploymentFile(file: string, env: Environment): DeploymentFile {
  return parseDeploymentFile(readText(file), file, env);
}

/** As loadDeploymentFile, from text. */
export function parseDeploymentFile(text: string, file: string, env: Environment): DeploymentFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const [broken] = document.errors;
  if (broken !== undefined) {
    // What comes after the first is mostly its consequence, and nothing else can be checked.
    const found = document.errors.map(({ message, pos }) =>
      told(file, placeOfOffset(lines, pos[0]), message),
    );
    throw configInvalid(file, found);
  }
  const { value, unresolved } = substituteReferences(valueOf(document, file) ?? {}, (name) => env[name]);
  const parsed = deploymentFileSchema.safeParse(value, { reportInput: true });
  // A reference that says nothing is wrong for that reason, whatever else it may look like.
  const isUnresolved = ({ key }: Problem): boolean => unresolved.some(({ path }) => sameKey(path, key));
  const problems: Problem[] = [
    ...unresolved.map(({ name, path }) => ({
      key: path,
      message: `environment variable ${name} is not set`,
    })),
    ...[
      ...(parsed.error?.issues ?? []).flatMap((issue) => problemsOf(issue)),
      ...contradictions(value),
    ].filter((problem) => !isUnresolved(problem)),
  ];
  if (parsed.data !== undefined && problems.length === 0) return parsed.data;
  const placed = problems.map((problem) => ({ ...problem, place: placeOfKey(document, lines, problem.key) }));
  placed.sort((a, b) => a.place.line - b.place.line || a.place.column - b.place.column);
  throw configInvalid(
    file,
    placed.map(({ key, message, place }) => told(file, place, message, key)),
  );
}

function told(file: string, { column, line }: Place, message: string, key: KeyPath = []): string {
  const name = key.length === 0 ? "" : `${key.map(String).join(".")}: `;
  return `${file}:${line}:${column}: ${name}${message}`;
}

const sameKey = (a: KeyPath, b: KeyPath): boolean => a.map(String).join("\0") === b.map(String).join("\0");

/** @throws HAError CONFIG_INVALID for aliases that would grow without bound */
function valueOf(document: Document.Parsed, file: string): unknown {
  try {
    return document.toJS();
  } catch (error) {
    throw unreadable(file, error);
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw unreadable(file, error);
  }
}

const unreadable = (file: string, cause: unknown): HAError =>
  configInvalid(file, [`${file}: ${cause instanceof Error ? cause.message : String(cause)}`], { cause });
