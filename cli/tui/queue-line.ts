import { Text } from "ink";
import type { DeploymentView } from "../../server/supervisor/view.ts";
import { queueText } from "../status-text.ts";
import { h } from "./h.ts";

/** What waits and what runs, in one line; dim while it is old news. */
export function QueueLine({ queue }: { readonly queue: DeploymentView["queue"] }) {
  return h(Text, { dimColor: queue.stale === true }, queueText(queue));
}
