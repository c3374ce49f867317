import * as fc from "fast-check";

/** The part of JSON Schema that zod writes. */
export interface JsonSchema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: JsonSchema | boolean;
  readonly items?: JsonSchema | boolean;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
}

/** Sessions and runs that generated requests share, so that they meet each other's. */
const KEYS = Array.from({ length: 8 }, (_, n) => `fuzz-${n}`);
const sessionKeys = fc.oneof(
  fc.constantFrom(...KEYS),
  fc.constantFrom(
    "main",
    "global",
    "agent:main:fuzz-0",
    "AGENT:Main:Fuzz-1",
    "agent::x",
    "agent:nobody:x",
    "",
  ),
);
const names = fc.oneof(fc.constantFrom("fuzz-a", "fuzz-b", "fuzz-c"), fc.string({ maxLength: 40 }));

/** What fields of these names mean to the gateway: without it hardly a request would get past their checks. */
const MEANT: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  sessionKey: sessionKeys,
  key: sessionKeys,
  keys: fc.array(sessionKeys, { maxLength: 4 }),
  runId: names,
  idempotencyKey: fc.oneof(names, fc.uuid()),
  agentId: fc.constantFrom("main", "nobody", "MAIN"),
  message: fc.oneof(fc.constantFrom("hello", "/status", "[[demo text=hello]] say hello"), fc.string()),
  // A request that waits is answered when its time is over.
  timeoutMs: fc.constantFrom(0, 1, 50),
  timeout: fc.constantFrom(0, 1),
};

/** Values that a schema allows, and some that it hardly does. */
export function arbitraryOf(schema: JsonSchema | boolean | undefined, depth = 0): fc.Arbitrary<unknown> {
  if (schema === undefined || typeof schema === "boolean" || depth > 6) return fc.jsonValue({ maxDepth: 2 });
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices !== undefined && choices.length > 0) {
    return fc.oneof(...choices.map((choice) => arbitraryOf(choice, depth + 1)));
  }
  return (OF_TYPE[schema.type ?? ""] ?? (() => fc.jsonValue({ maxDepth: 2 })))(schema, depth);
}

const numbers = (schema: JsonSchema): fc.Arbitrary<unknown> => {
  const range = {
    min: Math.max(schema.minimum ?? -1, -1_000),
    max: Math.min(schema.maximum ?? 1_000, 1_000),
  };
  return fc.oneof(fc.integer(range), fc.constantFrom(0, 1, Number.MAX_SAFE_INTEGER));
};

const OF_TYPE: Readonly<Record<string, (schema: JsonSchema, depth: number) => fc.Arbitrary<unknown>>> = {
  object: objectOf,
  array: (schema, depth) =>
    fc.array(arbitraryOf(schema.items, depth + 1), { minLength: schema.minItems ?? 0, maxLength: 6 }),
  string: (schema) =>
    fc.string({ minLength: Math.min(schema.minLength ?? 0, 4), maxLength: 30, unit: "binary" }),
  integer: numbers,
  number: numbers,
  boolean: () => fc.boolean(),
  null: () => fc.constant(null),
};

function objectOf(schema: JsonSchema, depth: number): fc.Arbitrary<unknown> {
  const fields = Object.entries(schema.properties ?? {}).map(
    ([name, field]) => [name, MEANT[name] ?? arbitraryOf(field, depth + 1)] as const,
  );
  const requiredKeys = [...(schema.required ?? [])];
  return fc.record(Object.fromEntries(fields), { requiredKeys });
}
