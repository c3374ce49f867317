import { BACKGROUND_BUGS } from "./background-bugs.ts";
import { GATEWAY_BUGS } from "./gateway-bugs.ts";
import { LEDGER_BUGS } from "./ledger-bugs.ts";
import type { PlantedBug } from "./planted-bug.ts";
import { QUEUE_MODE_BUGS } from "./queue-mode-bugs.ts";
import { WORKER_BUGS } from "./worker-bugs.ts";

/** Every bug that the suite is shown to catch. */
export const PLANTED_BUGS: readonly PlantedBug[] = [
  ...LEDGER_BUGS,
  ...WORKER_BUGS,
  ...GATEWAY_BUGS,
  ...QUEUE_MODE_BUGS,
  ...BACKGROUND_BUGS,
];
