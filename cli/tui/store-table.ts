import { Box, Text } from "ink";
import type { StoreView } from "../../server/supervisor/view.ts";
import { h } from "./h.ts";

/** Stores of a deployment, one a row. */
export function StoreTable({ stores }: { readonly stores: Readonly<Record<string, StoreView>> }) {
  return h(
    Box,
    { flexDirection: "column" },
    h(Text, { bold: true }, "Stores"),
    ...Object.entries(stores).map(([name, { healthy, mode, pid }]) =>
      h(
        Box,
        { key: name, gap: 2 },
        h(Text, null, name.padEnd(12)),
        h(Text, { color: healthy ? "green" : "red" }, (healthy ? "healthy" : "down").padEnd(8)),
        h(Text, null, (pid === undefined ? "-" : String(pid)).padStart(7)),
        h(Text, { dimColor: true }, mode),
      ),
    ),
  );
}
