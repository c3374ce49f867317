import { Box, Text, useApp } from "ink";
import { useEffect } from "react";
import type { DeploymentView } from "../../server/supervisor/view.ts";
import { scalingText } from "../scale/scaling-text.ts";
import { h } from "./h.ts";
import { InstanceTable } from "./instance-table.ts";
import { QueueLine } from "./queue-line.ts";
import { StoreTable } from "./store-table.ts";
import { useSnapshot } from "./use-snapshot.ts";
import type { Snapshot, SnapshotSource } from "./use-snapshot.ts";

const PHASE_COLOR: Readonly<Record<DeploymentView["phase"], string>> = {
  ready: "green",
  starting: "yellow",
  degraded: "red",
  stopping: "yellow",
  stopped: "gray",
};

/** The screen of `status --watch` and `up --foreground`: follows a deployment until the signal aborts. */
export function Dashboard({
  footer,
  signal,
  source,
}: {
  readonly footer: string;
  readonly signal: AbortSignal;
  readonly source: SnapshotSource;
}) {
  const { exit } = useApp();
  useEffect(() => {
    const end = (): void => exit();
    if (signal.aborted) end();
    signal.addEventListener("abort", end, { once: true });
    return () => signal.removeEventListener("abort", end);
  }, [exit, signal]);
  return h(DashboardView, { footer, snapshot: useSnapshot(source) });
}

/** One picture of it. */
export function DashboardView({
  footer,
  snapshot,
}: {
  readonly footer: string;
  readonly snapshot: Snapshot | null;
}) {
  if (snapshot === null) return h(Text, { dimColor: true }, "looking…");
  const { at, problem, view } = snapshot;
  const children = [
    h(Headline, { key: "headline", view }),
    view.failure === undefined
      ? null
      : h(Text, { key: "failure", color: "red" }, `last start failed: ${view.failure.message}`),
    h(InstanceTable, { key: "instances", now: at, rows: instancesOf(view) }),
    h(StoreTable, { key: "stores", stores: view.stores }),
    view.scaling === undefined ? null : h(Text, { key: "sizes" }, scalingText(view.scaling, at)),
    h(QueueLine, { key: "queue", queue: view.queue }),
    problem === null ? null : h(Text, { key: "problem", color: "red" }, problem),
    h(Text, { key: "footer", dimColor: true }, footer),
  ];
  return h(Box, { flexDirection: "column", gap: 1 }, ...children);
}

const instancesOf = (view: DeploymentView) => [
  ...view.instances,
  ...(view.demoModel === null ? [] : [view.demoModel]),
];

function Headline({ view }: { readonly view: DeploymentView }) {
  return h(
    Box,
    { gap: 2 },
    h(Text, { bold: true }, `${view.name} (${view.topology})`),
    h(Text, { color: PHASE_COLOR[view.phase] }, view.phase),
    h(Text, null, view.gateway?.url ?? "no address yet"),
    h(
      Text,
      { dimColor: true },
      view.supervisor.pid === null ? "no supervisor" : `supervisor ${view.supervisor.pid}`,
    ),
  );
}
