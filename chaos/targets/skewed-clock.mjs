/**
 * Preload of instances whose wall clock chaos may set wrong (skew.ts): `Date.now()`, `new Date()` and `Date()` follow
 * a file, read five times a second. Timers and performance.now() do not: a clock that is set wrong does not make time pass
 * faster. It is plain JavaScript, so that any Node may load it, and does nothing without its variable.
 */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isMainThread } from "node:worker_threads";

const folder = process.env.CHAOS_SKEW_DIR;
const id = process.env.OPENCLAW_HA_INSTANCE;
const POLL_MS = 200;

if (folder && id) {
  const RealDate = Date;
  const realNow = Date.now;
  const file = join(folder, id);
  let skew = 0;

  globalThis.Date = new Proxy(RealDate, {
    construct(target, args, newTarget) {
      const given = args.length === 0 ? [realNow() + skew] : args;
      return Reflect.construct(target, given, newTarget === globalThis.Date ? target : newTarget);
    },
    apply: () => new RealDate(realNow() + skew).toString(),
    get: (target, name) => (name === "now" ? () => realNow() + skew : Reflect.get(target, name)),
  });

  const look = () => {
    let wanted = 0;
    try {
      wanted = Number(readFileSync(file, "utf8"));
    } catch {
      return; // nobody has asked yet
    }
    skew = wanted;
    // Worker threads follow; the main thread speaks for the process.
    if (!isMainThread) return;
    const at = realNow();
    writeFileSync(`${file}.${process.pid}`, JSON.stringify({ skew, now: Date.now(), at }));
    renameSync(`${file}.${process.pid}`, `${file}.told`);
  };
  look();
  setInterval(look, POLL_MS).unref();
}
