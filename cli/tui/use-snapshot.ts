import { useEffect, useState } from "react";
import type { DeploymentView } from "../../server/supervisor/view.ts";

/** A deployment at one moment. */
export interface Snapshot {
  readonly view: DeploymentView;
  /** Epoch milliseconds, for up-times. */
  readonly at: number;
  /** Why the picture is old: the last look failed. */
  readonly problem: string | null;
}

/** Looks again and again, and tells what it saw until the returned function is called. */
export type SnapshotSource = (onSnapshot: (snapshot: Snapshot) => void) => () => void;

/** The newest snapshot; null before the first. */
export function useSnapshot(source: SnapshotSource): Snapshot | null {
  const [snapshot, setSnapshot] = useState<Snapshot | null>(null);
  useEffect(() => source(setSnapshot), [source]);
  return snapshot;
}

/**
 * A source that looks every `everyMs`, one look at a time; a look that fails keeps the last picture and says why.
 */
export function pollingSource(
  look: () => Promise<DeploymentView>,
  clock: { now(): number; sleep(ms: number, signal?: AbortSignal): Promise<void> },
  everyMs: number,
): SnapshotSource {
  return (onSnapshot) => {
    const ended = new AbortController();
    const poll = async (): Promise<void> => {
      let last: DeploymentView | null = null;
      while (!ended.signal.aborted) {
        let problem: string | null = null;
        try {
          last = await look();
        } catch (error) {
          problem = error instanceof Error ? error.message : String(error);
        }
        if (ended.signal.aborted) return;
        if (last !== null) onSnapshot({ view: last, at: clock.now(), problem });
        await clock.sleep(everyMs, ended.signal);
      }
    };
    void poll();
    return () => ended.abort();
  };
}
