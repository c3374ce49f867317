import * as fc from "fast-check";
import { z } from "zod";
import type { MethodRegistry } from "../methods/registry.ts";
import genuineParams from "./genuine-params.json" with { type: "json" };
import { changed, changes } from "./mutate.ts";
import { arbitraryOf, type JsonSchema } from "./of-schema.ts";

/** One WebSocket message of a fuzzing client. */
export interface Sent {
  readonly kind: "text" | "binary";
  readonly data: string;
}

/** Methods whose requests may stay without an answer for longer than the test waits. */
const WAITING = new Set(["agent.wait", "cron.run"]);

/**
 * Messages that look like requests: params from the methods' own schemas and from what genuine clients were seen to
 * send, most of them then changed in places; envelopes that are broken; texts that are cut off, doubled or none.
 */
export function sentMessages(methods: MethodRegistry): fc.Arbitrary<Sent> {
  const ours = [...methods.values()].map(({ name, params }) => {
    const schema = z.toJSONSchema(params, { io: "input", unrepresentable: "any" }) as JsonSchema;
    return arbitraryOf(schema).map((value) => ({ method: name, params: value }));
  });
  const theirs = Object.entries(genuineParams).flatMap(([method, examples]) =>
    (examples as unknown[]).map((params) => fc.constant({ method, params })),
  );
  const request = fc.oneof({ weight: 4, arbitrary: fc.oneof(...ours) }, fc.oneof(...theirs));
  const id = fc.uuid();
  const whole = fc.tuple(request, id, changes).map(([{ method, params }, given, all]) => ({
    type: "req",
    id: given,
    method,
    params: changed(params, all),
  }));
  const broken = fc.tuple(whole, changes).map(([frame, all]) => changed(frame, all));
  const frame = fc.oneof({ weight: 5, arbitrary: whole }, broken).map(textOf);
  const text = fc.oneof(
    { weight: 8, arbitrary: frame },
    fc.tuple(frame, fc.nat(200)).map(([json, cut]) => json.slice(0, cut)),
    frame.map((json) => json.replace("{", '{"id":"doubled",')),
    frame.map((json) => json + json),
    fc
      .tuple(request, id, fc.nat(200_000))
      .map(([{ method }, given, depth]) => deepText(method, given, depth)),
    fc.string({ unit: "binary" }),
  );
  return fc.oneof(
    { weight: 9, arbitrary: text.map((data): Sent => ({ kind: "text", data })) },
    text.map((data): Sent => ({ kind: "binary", data })),
  );
}

/** A value that JSON has no text for is none: a bad frame as good as any. */
const textOf = (value: unknown): string => JSON.stringify(value) ?? "undefined";

/** Params of lists in each other, deeper than any program that looks into them by calling itself can go. */
const deepText = (method: string, id: string, depth: number): string =>
  `${JSON.stringify({ type: "req", id, method }).slice(0, -1)},"params":{"key":${"[".repeat(depth)}${"]".repeat(depth)}}}`;

/** The id that must be answered exactly once, by what the protocol says of a frame; null where none is owed. */
export function answerOwed(data: string): { readonly id: string; readonly times: 1 | 2 } | null {
  let frame: Record<string, unknown>;
  try {
    frame = JSON.parse(data) as Record<string, unknown>;
  } catch {
    return null;
  }
  if (typeof frame !== "object" || frame === null) return null;
  const { id, method } = frame;
  if (typeof id !== "string" || id === "" || id.length > 1_024) return null;
  if (typeof method === "string" && WAITING.has(method)) return null;
  return { id, times: method === "agent" ? 2 : 1 };
}
