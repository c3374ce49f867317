import { startTargets } from "./targets.ts";
const t = await startTargets();
console.log(JSON.stringify({ genuine: t.genuine, pool: t.pool }));
process.on("SIGTERM", () => void t.close().then(() => process.exit(0)));
setInterval(() => {}, 1000);
