import { z } from "zod";

/** Text that must not be empty, as most of OpenClaw's fields. */
export const text = z.string().min(1);
export const sessionKeyText = z.string().min(1).max(512);
/** JSON integers that our stores can hold. */
export const count = z.int().min(0).max(Number.MAX_SAFE_INTEGER);

/**
 * Reads params with a schema that was compiled when its module was loaded. Fields that the schema does not know are
 * ignored: clients of a newer release already send fields that the published schemas forbid.
 * @returns the value, or why not: `at /path: what` of the first few problems
 */
export function readParams<T>(
  schema: z.ZodType<T>,
  params: unknown,
): { readonly ok: true; readonly value: T } | { readonly ok: false; readonly why: string } {
  const read = schema.safeParse(params ?? {});
  if (read.success) return { ok: true, value: read.data };
  const problems = read.error.issues.slice(0, 3).map((issue) => {
    const where = issue.path.length === 0 ? "at root" : `at /${issue.path.map(String).join("/")}`;
    return `${where}: ${issue.message.replace(/^Invalid input: /, "")}`;
  });
  return { ok: false, why: problems.join("; ").slice(0, 500) };
}
