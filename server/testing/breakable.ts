import { HAError } from "../core/errors.ts";

/**
 * How a broken store fails: `before` the call did anything, or `after` it, so that the work is done and only the
 * answer is lost. The caller cannot tell the two apart.
 */
export type Breakage = "before" | "after";

export interface Breakable<Port> {
  readonly port: Port;
  /** Calls of these methods (default: all) fail from now on; with `times`, only the next so many. */
  break(how: Breakage, methods?: readonly (keyof Port)[], times?: number): void;
  mend(): void;
  /** Names of the methods called, in order, failed ones too. */
  readonly calls: (keyof Port)[];
}

/** A port whose store can be taken away and given back in the middle of a test. */
export function breakable<Port extends object>(real: Port): Breakable<Port> {
  let how: Breakage | null = null;
  let broken: readonly PropertyKey[] | null = null;
  let left = Number.POSITIVE_INFINITY;
  const calls: (keyof Port)[] = [];

  const fails = (method: PropertyKey): boolean => {
    if (how === null || (broken !== null && !broken.includes(method)) || left <= 0) return false;
    left--;
    return true;
  };

  const port = new Proxy(real, {
    get(target, name, receiver) {
      const member: unknown = Reflect.get(target, name, receiver);
      if (typeof member !== "function") return member;
      return (...args: unknown[]): unknown => {
        calls.push(name as keyof Port);
        const failing = fails(name) ? how : null;
        const away = (): HAError => new HAError("STORE_UNAVAILABLE", `${String(name)}: the store is away`);
        if (failing === "before") return Promise.reject(away());
        const answer: unknown = Reflect.apply(member, target, args);
        return failing === "after" ? Promise.resolve(answer).then(() => Promise.reject(away())) : answer;
      };
    },
  });

  return {
    port,
    calls,
    break(breakage, methods, times = Number.POSITIVE_INFINITY) {
      how = breakage;
      broken = methods ?? null;
      left = times;
    },
    mend: () => void (how = null),
  };
}
