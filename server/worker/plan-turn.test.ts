import { describe, expect, it } from "vitest";
import { agentId } from "../core/ids.ts";
import type { RunOptions } from "../core/run.ts";
import { AGENT, TEST_CATALOG } from "../testing/test-catalog.ts";
import { planTurn } from "./plan-turn.ts";

const grant = (
  options: RunOptions = {},
  session: { model?: string; thinking?: string } = {},
  agent = AGENT,
) => ({
  agentId: agent,
  input: { body: { inline: { role: "user" as const, content: "hi", timestamp: 0 } }, options },
  sessionModel: session.model ?? null,
  sessionThinking: session.thinking ?? null,
});

const models = (planned: ReturnType<typeof planTurn>): string[] =>
  "plan" in planned ? planned.plan.models.map(({ id }) => id) : [];

describe("planning a turn", () => {
  it("takes the agent's model and its fallbacks", () => {
    expect(models(planTurn(TEST_CATALOG, grant()))).toEqual(["one", "two"]);
  });

  it("lets the session override the agent and the run override both, without fallbacks", () => {
    expect(models(planTurn(TEST_CATALOG, grant({}, { model: "demo/two" })))).toEqual(["two"]);
    expect(models(planTurn(TEST_CATALOG, grant({ model: "one" }, { model: "demo/two" })))).toEqual(["one"]);
    const planned = planTurn(TEST_CATALOG, grant({ thinking: "high" }, { thinking: "low" }));
    expect(planned).toMatchObject({ plan: { thinking: "high" } });
  });

  it("says which agent or model is missing, and what there is", () => {
    expect(planTurn(TEST_CATALOG, grant({}, {}, agentId("ghost")))).toMatchObject({
      error: { kind: "unknown_agent", message: expect.stringContaining("it has main") as string },
    });
    expect(planTurn(TEST_CATALOG, grant({ model: "three" }))).toMatchObject({
      error: { kind: "unknown_model", message: expect.stringContaining("demo/one, demo/two") as string },
    });
  });

  it("passes over a fallback that is not configured", () => {
    const [agent] = TEST_CATALOG.agents;
    const catalog = { ...TEST_CATALOG, agents: [{ ...agent!, fallbacks: ["demo/gone", "demo/two"] }] };
    expect(models(planTurn(catalog, grant()))).toEqual(["one", "two"]);
  });

  it("puts the run's instructions after the agent's, and hands its settings on", () => {
    const sampling = { temperature: 0.5, maxTokens: 9 };
    const planned = planTurn(TEST_CATALOG, grant({ extraSystemPrompt: "Be brief.", sampling }));
    const [agent] = TEST_CATALOG.agents;
    expect(planned).toMatchObject({
      plan: { agent: { id: "main", systemPrompt: `${agent?.systemPrompt}\n\nBe brief.` }, sampling },
    });
  });

  it("limits a run by its own limit, else the configured one; zero means none", () => {
    const timeout = (options: RunOptions): unknown => {
      const planned = planTurn(TEST_CATALOG, grant(options));
      return "plan" in planned ? planned.plan.timeoutMs : planned;
    };
    expect(timeout({})).toBe(TEST_CATALOG.runTimeoutMs);
    expect(timeout({ timeoutMs: 5 })).toBe(5);
    expect(timeout({ timeoutMs: 0 })).toBeNull();
  });
});
