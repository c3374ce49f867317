import * as fc from "fast-check";

/** Values of every type, the ones that programs trip over among them. */
const ODD: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    0,
    -1,
    1.5,
    1e308,
    -0,
    "",
    " ",
    [],
    {},
    [[]],
    "__proto__",
    "constructor",
    "\u0000",
    "\ud800",
    "\u202egnp",
    "💥".repeat(200),
    "../../../etc/passwd",
    "${jndi:x}",
    "'; DROP TABLE runs; --",
    "agent:main:" + "x".repeat(2_000),
  ),
  fc.integer({ min: 1, max: 200_000 }).map((length) => "x".repeat(length)),
  fc.integer({ min: 1, max: 500 }).map(nested),
  fc.jsonValue(),
);

/** `depth` lists in each other. */
function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let n = 0; n < depth; n++) value = [value];
  return value;
}

interface Change {
  readonly at: number;
  readonly how: "replace" | "remove" | "add" | "double";
  readonly value: unknown;
}

/** Changes of a JSON value at places chosen by number, whatever it holds. */
export const changes: fc.Arbitrary<readonly Change[]> = fc.array(
  fc.record({
    at: fc.nat(40),
    how: fc.constantFrom("replace" as const, "remove" as const, "add" as const, "double" as const),
    value: ODD,
  }),
  { maxLength: 3 },
);

type Holder = Record<string, unknown>;

/** The value with the changes made to a copy of it. */
export function changed(value: unknown, all: readonly Change[]): unknown {
  const root: Holder = { value: structuredClone(value) };
  for (const { at, how, value: odd } of all) {
    const places = placesOf(root, 0);
    const [holder, name] = places[at % places.length] ?? [root, "value"];
    if (how === "replace") holder[name] = odd;
    else if (how === "remove") delete holder[name];
    else if (how === "add") put(holder[name], odd);
    else holder[name] = [holder[name], holder[name]];
  }
  return root["value"];
}

function put(target: unknown, odd: unknown): void {
  if (Array.isArray(target)) target.push(odd);
  // As JSON.parse does it: `__proto__` is a field like any other.
  else if (typeof target === "object" && target !== null) {
    const property = { value: odd, enumerable: true, configurable: true, writable: true };
    Object.defineProperty(target, typeof odd === "string" ? odd.slice(0, 50) : "extra", property);
  }
}

/** Every field of it, outermost first; not so deep that looking for them would be the test. */
function placesOf(holder: object, depth: number): [Holder, string][] {
  const own = Object.keys(holder).map((name): [Holder, string] => [holder as Holder, name]);
  if (depth > 6) return own;
  const inner = Object.values(holder).filter((value) => typeof value === "object" && value !== null);
  return [...own, ...inner.flatMap((value: object) => placesOf(value, depth + 1))];
}
