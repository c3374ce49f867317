import { describe, expect, it } from "vitest";
import { linesOf, logText, mergeByTime } from "./log-line.ts";

describe("merged logs", () => {
  it("are in the order of their times, whoever wrote them", () => {
    const gateway = linesOf(
      "gateway-1",
      '{"time":"2026-11-22T12:00:01.500Z","event":"b"}\n{"time":"2026-11-22T12:00:03.000Z","event":"d"}\n',
    );
    const postgres = linesOf("postgres", "2026-11-22 12:00:02.000 UTC [1] LOG:  c\n");
    const redis = linesOf("redis", "7:M 22 Nov 2026 12:00:01.000 * a\n");
    expect(mergeByTime([gateway, postgres, redis]).map(({ instance }) => instance)).toEqual([
      "redis",
      "gateway-1",
      "postgres",
      "gateway-1",
    ]);
  });

  it("keep lines without a time beside the one before them", () => {
    const trace = linesOf("worker-1", '{"time":"2026-11-22T12:00:01.000Z"}\nError: no\n    at work\n');
    const other = linesOf("worker-2", '{"time":"2026-11-22T12:00:02.000Z"}\n');
    expect(mergeByTime([other, trace]).map(({ line }) => line)).toEqual([
      '{"time":"2026-11-22T12:00:01.000Z"}',
      "Error: no",
      "    at work",
      '{"time":"2026-11-22T12:00:02.000Z"}',
    ]);
  });

  it("are told to people by time, place, weight and fields", () => {
    const [line, plain] = linesOf(
      "worker-1",
      '{"level":"warn","time":"2026-11-22T12:00:01.500Z","event":"worker.run_lost","run":"r","n":2}\nodd \u001B[31m\n',
    );
    expect(logText(line!)).toBe("12:00:01.500 worker-1   warn  worker.run_lost run=r n=2");
    expect(logText(plain!)).toBe("             worker-1   odd \uFFFD[31m");
  });
});
