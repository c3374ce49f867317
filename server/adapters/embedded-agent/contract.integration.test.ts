import { startDemoModel } from "../../demo-model/main.ts";
import { agentRuntimeContract, type ContractReply } from "../../ports/contract/agent-runtime.contract.ts";
import { testModel } from "../../testing/agent-harness.ts";
import { recordingLogger } from "../../testing/recording-logger.ts";
import { seededRandom } from "../../testing/seeded-random.ts";
import { systemClock } from "../system/clock.ts";
import { embeddedAgentRuntime } from "./agent-runtime.ts";

/** The contract's replies as directives for the demo model. */
const directiveOf = ({ text, pieces = 1, calls = [], hangAfter }: ContractReply): string =>
  [
    "[[demo",
    `text=${JSON.stringify(text ?? "")}`,
    `chunks=${pieces}`,
    ...calls.map((call) => `tool=${call}`),
    ...(hangAfter === undefined ? [] : [`stall=${hangAfter}`]),
  ].join(" ") + "]]";

agentRuntimeContract("embedded, on the demo model", async () => {
  const demo = await startDemoModel({ port: 0, logger: recordingLogger() });
  return {
    runtime: embeddedAgentRuntime({ random: seededRandom(1), clock: systemClock, logger: recordingLogger() }),
    models: [testModel(demo.url)],
    ask: (replies) => replies.map(directiveOf).join(""),
    async modelCalls() {
      const response = await fetch(new URL("/__demo/calls", demo.url));
      return ((await response.json()) as { total: number }).total;
    },
    close: () => demo.close(),
  };
});
