import { describe, expect, it } from "vitest";
import type { InstanceSpec, InstanceView, Provisioner } from "../provisioner.ts";
import { until } from "../../testing/until.ts";

export interface ProvisionerFixture {
  /** A provisioner over the place of this fixture; several may follow one another, as supervisors do. */
  readonly open: () => Provisioner;
  /** An instance that becomes ready by itself; another `version` is another specification. */
  readonly spec: (id: string, version?: number) => InstanceSpec;
  /** One that does not heed SIGTERM, and says when it could. */
  readonly stubborn: (id: string) => {
    readonly spec: InstanceSpec;
    readonly started: () => Promise<unknown>;
  };
  readonly runs: (pid: number | null) => boolean;
  readonly crash: (pid: number) => void;
}

/** What every Provisioner promises, wherever its instances run. The fixture ends what a test leaves. */
export function provisionerContract(adapter: string, fixture: () => Promise<ProvisionerFixture>): void {
  describe(`Provisioner: ${adapter}`, () => {
    it("starts what is missing and tells of it", async () => {
      const { open, spec, runs } = await fixture();
      const provisioner = open();
      await provisioner.apply([spec("a"), spec("b")]);
      const a = await until(async () => ready(await provisioner.list(), "a"));
      expect(a).toMatchObject({
        pool: spec("a").pool,
        url: null,
        restarts: 0,
        startedAt: expect.any(String),
      });
      expect(runs(a.pid)).toBe(true);
      expect((await provisioner.list()).map(({ id }) => id).sort()).toEqual(["a", "b"]);
    });

    it("changes nothing when the same specs are applied again", async () => {
      const { open, spec } = await fixture();
      const provisioner = open();
      await provisioner.apply([spec("a"), spec("b")]);
      const before = await pidsOf(provisioner);
      await provisioner.apply([spec("b"), spec("a")]);
      expect(await pidsOf(provisioner)).toEqual(before);
    });

    it("replaces what changed, stops what is too much and leaves the rest alone", async () => {
      const { open, spec, runs } = await fixture();
      const provisioner = open();
      await provisioner.apply([spec("a"), spec("b"), spec("c")]);
      const before = await pidsOf(provisioner);
      await provisioner.apply([spec("a"), spec("b", 2), spec("d")]);
      const after = await pidsOf(provisioner);
      expect(Object.keys(after).sort()).toEqual(["a", "b", "d"]);
      expect(after["a"]).toBe(before["a"]);
      expect(after["b"]).not.toBe(before["b"]);
      expect([runs(before["b"]!), runs(before["c"]!), runs(after["d"]!)]).toEqual([false, false, true]);
    });

    it("starts what died again under its id, and counts it", async () => {
      const { open, spec, runs, crash } = await fixture();
      const provisioner = open();
      await provisioner.apply([spec("a"), spec("b")]);
      const before = await pidsOf(provisioner);
      crash(before["a"]!);
      const a = await until(async () =>
        (await provisioner.list()).find(({ id, restarts, pid }) => id === "a" && restarts === 1 && runs(pid)),
      );
      expect(a.pid).not.toBe(before["a"]);
      expect((await pidsOf(provisioner))["b"]).toBe(before["b"]);
    });

    it("stops an instance for good, until it is applied again", async () => {
      const { open, spec, runs } = await fixture();
      const provisioner = open();
      await provisioner.apply([spec("a"), spec("b")]);
      const { a } = await pidsOf(provisioner);
      await provisioner.stop("a", 2_000);
      expect(runs(a!)).toBe(false);
      expect(ready(await provisioner.list(), "a")).toBeUndefined();
      await provisioner.apply([spec("a"), spec("b")]);
      expect(runs((await pidsOf(provisioner))["a"]!)).toBe(true);
    });

    it("ends what does not stop within the grace", async () => {
      const { open, stubborn, runs } = await fixture();
      const provisioner = open();
      const { spec, started } = stubborn("a");
      await provisioner.apply([spec]);
      const { a } = await pidsOf(provisioner);
      await started();
      await provisioner.stop("a", 50);
      expect(runs(a!)).toBe(false);
    });

    it("does nothing where there is nothing to stop", async () => {
      const { open } = await fixture();
      await expect(open().stop("nobody", 0)).resolves.toBeUndefined();
    });

    it("leaves instances behind when it is detached; the next one adopts them", async () => {
      const { open, spec, runs } = await fixture();
      const first = open();
      await first.apply([spec("a")]);
      const before = await pidsOf(first);
      await first.detach();
      expect(runs(before["a"]!)).toBe(true);
      const second = open();
      await second.apply([spec("a")]);
      expect(await pidsOf(second)).toEqual(before);
    });

    it("stops also what an earlier one has started", async () => {
      const { open, spec, runs } = await fixture();
      const first = open();
      await first.apply([spec("a"), spec("b")]);
      const { a, b } = await pidsOf(first);
      await first.detach();
      await open().stop("a", 2_000);
      expect([runs(a!), runs(b!)]).toEqual([false, true]);
      await open().apply([]);
      expect(runs(b!)).toBe(false);
    });
  });
}

const ready = (views: readonly InstanceView[], id: string): InstanceView | undefined =>
  views.find((view) => view.id === id && view.state === "ready");

const pidsOf = async (provisioner: Provisioner): Promise<Record<string, number | null>> =>
  Object.fromEntries((await provisioner.list()).map(({ id, pid }) => [id, pid]));
