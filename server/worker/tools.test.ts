import { expect, it } from "vitest";
import { memoryPool } from "../testing/memory-pool.ts";
import { TEST_CATALOG } from "../testing/test-catalog.ts";
import { addTool } from "../testing/test-tools.ts";

it("a run has the tools of its agent, unless its model was configured to take none", async () => {
  const { worker, send, ended } = await memoryPool({
    script: ({ tools }) => [{ say: `${tools.length} tools` }],
  });
  const able = await worker({ tools: () => [addTool] });
  expect(await ended(await send("hi", "run-1"))).toMatchObject({ result: { text: "1 tools" } });
  await able.close();
  const models = TEST_CATALOG.models.map((model) => ({ ...model, compat: { supportsTools: false } }));
  await worker({ tools: () => [addTool], catalog: { ...TEST_CATALOG, models } });
  expect(await ended(await send("hi", "run-2"))).toMatchObject({ result: { text: "0 tools" } });
});
