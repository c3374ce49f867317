import { systemPorts } from "../../server/wiring.ts";
import { openControlPath } from "./control-path.ts";
import { cpuSecondsByKind } from "./process-table.ts";
import { cpuMsPerRun, type Figures, summary } from "./report.ts";

export interface ControlPathLoad {
  /** Migrated, with tenant `bench`. */
  readonly postgresUrl: string;
  readonly redisUrl: string;
  /** Processes of the stores, whose CPU time counts. */
  readonly pids: readonly number[];
  readonly runs: number;
  /** Runs in flight. */
  readonly inFlight: number;
}

/** Drives the control path with a fixed number of runs in flight, each the first of a new session. */
export async function controlPathLoad(load: ControlPathLoad): Promise<Figures> {
  const { pids, runs, inFlight } = load;
  const { random } = systemPorts;
  const path = await openControlPath({ ...load, slots: inFlight });
  const ackMs: number[] = [];
  const endToEndMs: number[] = [];
  let left = 0;
  const client = async (): Promise<void> => {
    while (left-- > 0) {
      const id = random.uuid();
      const sentAt = performance.now();
      const { ended } = await path.send(`agent:main:${id}`, id);
      ackMs.push(performance.now() - sentAt);
      await ended;
      endToEndMs.push(performance.now() - sentAt);
    }
  };
  const pass = async (count: number): Promise<number> => {
    left = count;
    ackMs.length = endToEndMs.length = 0;
    const began = performance.now();
    await Promise.all(Array.from({ length: inFlight }, client));
    return (performance.now() - began) / 1_000;
  };

  await pass(inFlight); // connections, scripts, compiled code
  const processes = [process.pid, ...pids];
  const cpu = cpuSecondsByKind(processes);
  const seconds = await pass(runs);
  const cpuMsPerRunOf = cpuMsPerRun(cpu, cpuSecondsByKind(processes), runs);
  await path.close();
  return {
    runsPerSecond: Math.round(runs / seconds),
    ackMs: summary(ackMs),
    endToEndMs: summary(endToEndMs),
    cpuMsPerRunOf,
  };
}
