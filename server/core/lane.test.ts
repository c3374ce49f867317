import { expect, it } from "vitest";
import { laneOfSession } from "./lane.ts";

it.each([
  ["agent:main:main", "main"],
  ["agent:main:cron:7c0f", "cron"],
  ["agent:main:subagent:7c0f", "subagent"],
  ["agent:cron:main", "main"],
  ["agent:main:cron", "main"], // a session that a user called so
  ["agent:main:discord:cron:1", "main"],
])("runs of %s are of lane %s", (key, lane) => {
  expect(laneOfSession(key)).toBe(lane);
});
