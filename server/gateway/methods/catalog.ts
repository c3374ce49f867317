import { z } from "zod";
import { agentIdentity, agentsList, modelAuthStatus, modelsList } from "../projection/catalog.ts";
import { commandsList } from "../projection/commands.ts";
import { configSnapshot } from "../projection/config.ts";
import { resolveAgent } from "./params.ts";
import { method, type Method } from "./registry.ts";

const anything = z.object({});
const forAgent = z.object({ agentId: z.string().optional(), sessionKey: z.string().optional() });

/** What the configuration gives: agents, models, commands. It was read when the process started; no store is asked. */
export const catalogMethods: readonly Method[] = [
  method({
    name: "agents.list",
    scope: "operator.read",
    params: anything,
    handle: ({ gateway }) => agentsList(gateway.catalog),
  }),
  method({
    name: "agent.identity.get",
    scope: "operator.read",
    params: forAgent,
    handle: ({ gateway }, params) => agentIdentity(resolveAgent(gateway.catalog, params)),
  }),
  method({
    name: "models.list",
    scope: "operator.read",
    // `view` and `refresh` are taken and change nothing: the configured models are all there are.
    params: forAgent.extend({ provider: z.string().optional(), includeDetails: z.boolean().optional() }),
    handle: ({ gateway }, { provider, includeDetails = false, ...params }) =>
      modelsList(gateway.catalog, resolveAgent(gateway.catalog, params), { provider, includeDetails }),
  }),
  method({
    name: "models.authStatus",
    scope: "operator.read",
    params: forAgent,
    handle: ({ gateway }, params) => {
      resolveAgent(gateway.catalog, params);
      return modelAuthStatus(gateway.catalog, gateway.clock.now());
    },
  }),
  method({
    name: "commands.list",
    scope: "operator.read",
    // Every command is there for text and for native clients.
    params: forAgent.extend({
      includeArgs: z.boolean().optional(),
      scope: z.enum(["text", "native", "both"]).optional(),
    }),
    handle: ({ gateway }, { includeArgs = true, ...params }) => {
      resolveAgent(gateway.catalog, params);
      return { commands: commandsList(gateway.commands.list, includeArgs) };
    },
  }),
  method({
    name: "config.get",
    scope: "operator.read",
    params: anything,
    handle: ({ gateway }) => configSnapshot(gateway.configView),
  }),
];
