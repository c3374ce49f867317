import { record } from "./record.ts";
import { CASES } from "./cases/index.ts";
import { compare, lineOf } from "./compare.ts";
import type { Target } from "./script.ts";
import { startTargets } from "./targets.ts";
const [only = ""] = process.argv.slice(2);
const attach = process.env["CONF_ATTACH"];
const targets = attach ? { ...(JSON.parse(attach) as { genuine: Target; pool: Target }), close: async () => {} } : await startTargets();
for (const one of CASES.filter(({ name }) => name.includes(only))) {
  try {
    const t0 = performance.now(); let tg = 0, tp = 0;
    const [genuine, pool] = await Promise.all([record(targets.genuine, one).then((r) => { tg = performance.now() - t0; return r; }), record(targets.pool, one).then((r) => { tp = performance.now() - t0; return r; })]);
    console.log(`# ${one.name} ${tg.toFixed(0)} ${tp.toFixed(0)}`);
    if (process.env["CONF_SHOW"]) console.log(JSON.stringify(genuine, null, 1), JSON.stringify(pool, null, 1));
    for (const d of compare(genuine, pool, `${one.name} ›`)) console.log(lineOf(d), "\t", JSON.stringify(d.genuine)?.slice(0, 200) ?? "", "|", JSON.stringify(d.pool)?.slice(0, 200) ?? "");
  } catch (error) { console.log(`!! ${String(error)}`); }
}
await targets.close();
