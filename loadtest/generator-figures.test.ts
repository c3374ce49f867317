import { describe, expect, it } from "vitest";
import { generatorFigures } from "./generator-figures.ts";

const lag = (p99: number) => ({ p50: 1, p95: p99 / 2, p99, max: p99 });
const cpu = (generator: number, deployment: number | null, machine: number) => ({
  seconds: 100,
  cores: 2,
  generator,
  deployment,
  deploymentByKind: {},
  machine,
});

describe("the load generator's own part", () => {
  it("is its share of all the CPU time that the machine has, beside that of strangers", () => {
    expect(generatorFigures(lag(5), cpu(20, 100, 140))).toMatchObject({
      machineShare: 0.1,
      othersShare: 0.1,
      suspicion: null,
    });
  });

  it("is unknown where CPU times are, and so are strangers where the deployment is elsewhere", () => {
    expect(generatorFigures(lag(5), null)).toMatchObject({
      machineShare: null,
      othersShare: null,
      suspicion: null,
    });
    expect(generatorFigures(lag(5), cpu(20, null, 190))).toMatchObject({
      machineShare: 0.1,
      othersShare: null,
    });
  });

  it.each([
    ["it takes most of the machine", lag(5), cpu(120, 60, 190), /load generator took 60 %/],
    ["strangers take much of it", lag(5), cpu(20, 60, 190), /nothing to do with the test took 55 %/],
    ["it is late", lag(1_200), cpu(20, 60, 90), /more than 1\.2 s late/],
    ["both", lag(1_200), cpu(20, 60, 190), /took 55 %.*; .*late/],
  ])("spoils the times when %s", (_what, lagMs, use, why) => {
    expect(generatorFigures(lagMs, use).suspicion).toMatch(why);
  });
});
