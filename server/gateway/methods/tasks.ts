import { z } from "zod";
import { resolveSession } from "../accept-run.ts";
import { cronTask, subagentTask, TASK_STATUSES } from "../projection/task.ts";
import { sessionKeyText } from "../protocol/params.ts";
import { method, type Method } from "./registry.ts";

const LIMIT = 100;
const LIMIT_MAX = 500;

const status = z.enum(TASK_STATUSES);

/** What works in the background of the tenant's sessions: subagents and cron jobs. */
export const taskMethods: readonly Method[] = [
  method({
    name: "tasks.list",
    scope: "operator.read",
    params: z.object({
      sessionKey: sessionKeyText.optional(),
      agentId: z.string().optional(),
      // Statuses of OpenClaw that a run of the pool never has match nothing.
      status: z.union([z.string(), z.array(z.string())]).optional(),
      limit: z.int().min(1).optional(),
      sortBy: z.enum(["createdAt", "updatedAt", "endedAt"]).optional(),
    }),
    async handle({ gateway, tenant }, params) {
      const limit = Math.min(params.limit ?? LIMIT, LIMIT_MAX);
      const requesterKey =
        params.sessionKey === undefined
          ? undefined
          : resolveSession(gateway.catalog, params.sessionKey, params.agentId);
      const wanted = [params.status ?? []].flat().filter((one) => status.safeParse(one).success);
      const [children, runs, jobs] = await Promise.all([
        gateway.subagents.list(tenant, {
          limit: LIMIT_MAX,
          ...(requesterKey === undefined ? {} : { requesterKey }),
        }),
        // A job is nobody's child: it is listed with the tenant's tasks alone.
        requesterKey === undefined ? gateway.cron.runs(tenant, null, LIMIT_MAX) : [],
        requesterKey === undefined ? gateway.cron.list(tenant) : [],
      ]);
      const names = new Map(jobs.map(({ jobId, definition }) => [jobId, definition.name]));
      const agent = requesterKey === undefined ? params.agentId?.trim().toLowerCase() : undefined;
      const by = params.sortBy ?? "createdAt";
      const time = (task: Readonly<Record<string, unknown>>): number => Number(task[by] ?? 0);
      const tasks = [...children.map(subagentTask), ...runs.map((run) => cronTask(run, names.get(run.jobId)))]
        .filter((task) => params.status === undefined || wanted.includes(task.status))
        .filter((task) => agent === undefined || task["agentId"] === agent)
        .sort((a, b) => time(b) - time(a));
      return { tasks: tasks.slice(0, limit) };
    },
  }),
];
