import { Box, Text } from "ink";
import type { InstanceState, InstanceView } from "../../server/ports/provisioner.ts";
import { formatDuration } from "../duration.ts";
import { h } from "./h.ts";

const COLOR: Readonly<Record<InstanceState, string>> = {
  ready: "green",
  starting: "yellow",
  draining: "yellow",
  stopped: "gray",
  crashed: "red",
};

/** Instances of a deployment, one a row. Rows in, characters out: what is polled is the caller's business. */
export function InstanceTable({
  now,
  rows,
}: {
  readonly now: number;
  readonly rows: readonly InstanceView[];
}) {
  return h(
    Box,
    { flexDirection: "column" },
    h(Text, { bold: true }, "Instances"),
    ...rows.map((row) =>
      h(
        Box,
        { key: row.id, gap: 2 },
        h(Text, null, row.id.padEnd(12)),
        h(Text, { color: COLOR[row.state] }, row.state.padEnd(8)),
        h(Text, null, (row.pid === null ? "-" : String(row.pid)).padStart(7)),
        h(Text, { dimColor: true }, upTime(row, now).padStart(9)),
        h(Text, row.restarts > 0 ? { color: "yellow" } : { dimColor: true }, `${row.restarts} restarts`),
        h(Text, { dimColor: true }, row.url ?? ""),
      ),
    ),
  );
}

const upTime = ({ startedAt }: InstanceView, now: number): string =>
  startedAt === null ? "-" : formatDuration(Math.max(0, now - Date.parse(startedAt)));
