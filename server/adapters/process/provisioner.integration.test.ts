import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { provisionerContract } from "../../ports/contract/provisioner.contract.ts";
import type { InstanceSpec } from "../../ports/provisioner.ts";
import { fileInstanceRecords } from "../../supervisor/instance-records.ts";
import { machineProcesses } from "../../supervisor/machine.ts";
import { recordingLogger } from "../../testing/recording-logger.ts";
import { until } from "../../testing/until.ts";
import { systemClock } from "../system/clock.ts";
import { processProvisioner } from "./provisioner.ts";
import type { ProcessProvisioner } from "./provisioner.ts";
import { probeReady } from "./ready-probe.ts";

/** Goes on until it is told to end. */
const SLEEPS = "setInterval(() => {}, 1000)";
/** Goes on also when it is told to end. */
const DEAF = `process.on("SIGTERM", () => {}); console.log("deaf"); ${SLEEPS}`;
/** Leaves a grandchild behind in its process group, and says who it is. */
const HAS_CHILD = `
  const { spawn } = await import("node:child_process");
  console.log("child " + spawn("sleep", ["600"]).pid);
  ${SLEEPS}`;

const spec = (id: string, script = SLEEPS, env: Record<string, string> = {}): InstanceSpec => ({
  id,
  pool: "worker",
  args: [script],
  env,
});

/** A folder of records, over which one provisioner after another works, as supervisors do. */
async function machine() {
  const folder = await mkdtemp(path.join(tmpdir(), "openclaw-ha-provisioner-"));
  const records = await fileInstanceRecords(path.join(folder, "run"));
  const logFile = (id: string): string => path.join(folder, `${id}.log`);
  const open = (): ProcessProvisioner =>
    processProvisioner({
      processes: machineProcesses,
      records,
      clock: systemClock,
      logger: recordingLogger(),
      programOf: () => ({ command: process.execPath, args: ["--input-type=module", "-e"] }),
      baseEnv: {},
      logFile,
      beforeStart: async () => {},
      probe: probeReady,
      graceMs: 2_000,
      replaceReadyMs: 5_000,
    });
  onTestFinished(async () => {
    await open().apply([]);
    await rm(folder, { recursive: true, force: true });
  });
  return { records, open, logFile };
}

const pidsOf = async (provisioner: ProcessProvisioner): Promise<Record<string, number | null>> =>
  Object.fromEntries((await provisioner.list()).map(({ id, pid }) => [id, pid]));

const runs = (pid: number | null | undefined): boolean => machineProcesses.identify(pid ?? 0) !== null;

provisionerContract("processes", async () => {
  const { open, logFile } = await machine();
  return {
    open,
    spec: (id, version = 1) => spec(id, SLEEPS, { VERSION: String(version) }),
    stubborn: (id) => ({
      spec: spec(id, DEAF),
      started: () => until(async () => (await readFile(logFile(id), "utf8")).includes("deaf")),
    }),
    runs,
    crash: (pid) => process.kill(pid, "SIGKILL"),
  };
});

describe("instances as processes of this machine", () => {
  it("have a record each for as long as they are wanted", async () => {
    const { open, records } = await machine();
    const provisioner = open();
    await provisioner.apply([spec("a"), spec("b"), spec("c")]);
    expect(await records.ids()).toEqual(["a", "b", "c"]);
    await provisioner.apply([spec("a"), spec("b", SLEEPS, { NEW: "1" }), spec("d")]);
    expect(await records.ids()).toEqual(["a", "b", "d"]);
  });

  it("outlive their provisioner and are adopted by the next, restarts and all", async () => {
    const { open } = await machine();
    const first = open();
    await first.apply([spec("a")]);
    process.kill((await pidsOf(first))["a"]!, "SIGKILL");
    await until(async () => (await first.list())[0]!.restarts === 1 && runs((await pidsOf(first))["a"]));
    const before = await pidsOf(first);
    await first.detach();

    const second = open();
    await second.apply([spec("a")]);
    expect(await pidsOf(second)).toEqual(before);
    expect((await second.list())[0]).toMatchObject({ restarts: 1, state: "ready" });
    process.kill(before["a"]!, "SIGKILL");
    await until(async () => (await second.list())[0]!.restarts === 2);
  });

  it("are ended and started afresh when their provisioner died before it could record them", async () => {
    const { open, records } = await machine();
    const first = open();
    await first.apply([spec("a")]);
    const { a: unrecorded } = await pidsOf(first);
    await until(() => records.noted("a")); // a child's first act, some milliseconds after its start
    await first.detach();
    const record = (await records.read("a"))!;
    // As if the provisioner had been killed between the start and the record: there is the record of an earlier life.
    await records.write({ ...record, pid: 1, identity: "another" });

    const second = open();
    await second.apply([spec("a")]);
    const { a: fresh } = await pidsOf(second);
    expect(fresh).not.toBe(unrecorded);
    expect(runs(unrecorded)).toBe(false);
    expect(runs(fresh)).toBe(true);
  });

  it("never take the process of somebody else for theirs", async () => {
    const { open, records } = await machine();
    // Our own pid, but of another life: as after a reboot, when pids are given out anew.
    const stale = { pid: process.pid, identity: "0:0", revision: "x", startedAt: "", restarts: 0 };
    await records.write({ id: "a", ...stale });
    const provisioner = open();
    await provisioner.apply([spec("a")]);
    expect((await pidsOf(provisioner))["a"]).not.toBe(process.pid);
    await records.write({ id: "b", ...stale });
    await provisioner.stop("b", 0);
    expect(runs(process.pid)).toBe(true);
  });

  it.each(["SIGKILL", "stop"])("leave nothing of what they started themselves behind (%s)", async (how) => {
    const { open, logFile } = await machine();
    const provisioner = open();
    await provisioner.apply([spec("a", HAS_CHILD)]);
    const child = await until(async () => /child (\d+)/.exec(await readFile(logFile("a"), "utf8"))?.[1]);
    if (how === "stop") await provisioner.stop("a", 2_000);
    else process.kill((await pidsOf(provisioner))["a"]!, "SIGKILL");
    expect(await until(() => !runs(Number(child)))).toBe(true);
  });

  it("tell how they ended and what they printed when they do not come up", async () => {
    const { open } = await machine();
    const provisioner = open();
    await provisioner.apply([spec("a", 'console.error("no luck"); process.exit(3)')]);
    const trouble = await until(() => provisioner.troubles().find(({ crashes }) => crashes >= 2));
    expect(trouble).toMatchObject({ id: "a", exit: { code: 3, signal: null }, output: "no luck\n" });
  });
});
