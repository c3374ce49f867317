import type { AgentRuntime } from "../../../server/ports/agent-runtime.ts";
import { BENCH_TENANT, openControlPath } from "../control-path.ts";
import type { Peer } from "./peer.ts";

const ANSWERS = `
  SELECT run_id AS job FROM openclaw_ha.messages WHERE tenant_id = $1 AND body ->> 'role' = 'assistant'
  ORDER BY session_key, seq`;

/** The product itself: keys are sessions, jobs are runs, the effect is what the run adds to its session's transcript. */
export const openclawHa: Peer = {
  name: "openclaw-ha",
  setup:
    "gateway's acceptor, PostgreSQL ledger, Redis queue and events, worker, scripted agent; all in this process",
  guarantees: {
    acknowledged: "after the commit",
    perKey: "strict order, one at a time; also behind a failed run",
    repeated: "the same run for at least 30 days; another text under the same key is refused",
    workerDies: "taken over in about 1 s, goes on from its last checkpoint",
    staleWorker: "every write is refused by its fencing token",
    told: "every step as an event, resumable on any gateway",
  },
  jobs: 6_000,
  async start(stores, duties) {
    const path = await openControlPath({
      ...stores,
      slots: duties.concurrency,
      observeRuntime: (runtime): AgentRuntime => ({
        run: (turn, io, signal) => duties.during(turn.sessionKey, () => runtime.run(turn, io, signal)),
      }),
    });
    let open = 0;
    const follow = async (id: string, ended: Promise<void>): Promise<void> => {
      await ended;
      open--;
      duties.ended(id);
    };
    return {
      async submit(job) {
        open++;
        const { ended } = await path.send(job.key, job.id);
        void follow(job.id, ended);
      },
      drained: async () => {
        if (open > 0) throw new Error(`${open} runs have no terminal event`);
      },
      close: () => path.close(),
    };
  },
  effects: async (pool) => {
    const { rows } = await pool.query<{ job: string }>(ANSWERS, [BENCH_TENANT]);
    return rows.map(({ job }) => job);
  },
};
