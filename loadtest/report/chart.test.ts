import { describe, expect, it } from "vitest";
import { lineChart } from "./chart.ts";
import { histogram } from "./histogram.ts";
import { formatMs, formatNumber, linearScale, logScale } from "./scale.ts";

const points = (...ys: (number | null)[]) => ys.map((y, x) => ({ x, y }));
const count = (text: string, what: RegExp): number => text.match(what)?.length ?? 0;

describe("scales", () => {
  it("end on a round number at or above the greatest value", () => {
    expect(linearScale([0, 87], [0, 100]).ticks).toEqual([0, 20, 40, 60, 80, 100]);
    expect(linearScale([0, 0.3], [0, 100]).ticks).toEqual([0, 0.1, 0.2, 0.3]);
    expect(linearScale([0, 0], [0, 100]).at(0)).toBe(0);
  });

  it("keep the ends that were asked for, and label what lies between", () => {
    const scale = linearScale([3, 17], [0, 140], { exact: true });
    expect([scale.at(3), scale.at(17)]).toEqual([0, 140]);
    expect(scale.ticks).toEqual([5, 10, 15]);
  });

  it("cover powers of ten, and put what is below the first one on its line", () => {
    const scale = logScale([3, 400], [300, 0]);
    expect(scale.ticks).toEqual([1, 10, 100, 1_000]);
    expect(scale.at(100)).toBeCloseTo(100);
    expect(scale.at(0)).toBe(300);
  });

  it("write numbers and times as people read them", () => {
    expect([0, 0.0042, 3.14159, 42.42, 1234.5].map(formatNumber)).toEqual([
      "0",
      "0.0042",
      "3.14",
      "42.4",
      "1,235",
    ]);
    expect([9.5, 999.4, 12_000].map(formatMs)).toEqual(["9.5 ms", "999 ms", "12 s"]);
  });
});

describe("a line chart", () => {
  it("breaks the line at a hole, and shows a lone value as a dot", () => {
    const { markup } = lineChart({
      title: "t",
      series: [{ name: "a", points: points(1, 2, null, 3, null, 4, 5) }],
    });
    expect(count(markup, /class="series"/g)).toBe(2);
    expect(count(markup, /<circle/g)).toBe(1);
  });

  it("draws bands and markers in its range only, and cuts bands at its ends", () => {
    const { markup } = lineChart({
      title: "t",
      series: [{ name: "a", points: points(1, 2, 3, 4) }],
      bands: [
        { from: 2, to: 99, label: "fault" },
        { from: 50, to: 60, label: "later" },
      ],
      markers: [
        { at: 1, label: "kill" },
        { at: 70, label: "beyond" },
      ],
    });
    expect(count(markup, /class="band"/g)).toBe(1);
    expect(markup).toContain(">kill</text>");
    expect(markup).not.toContain(">beyond</text>");
    const right = /class="band" x="([\d.]+)" y="[\d.]+" width="([\d.]+)"/.exec(markup);
    expect(Number(right?.[1]) + Number(right?.[2])).toBeCloseTo(546);
  });

  it("does not let a distant target press the lines flat: it is told in the legend", () => {
    const chart = (value: number) =>
      lineChart({
        title: "t",
        series: [{ name: "a", points: points(1, 2) }],
        targets: [{ value, label: "limit" }],
      }).markup;
    expect(chart(3)).toContain('<line class="target"');
    expect(chart(500)).not.toContain('<line class="target"');
    expect(chart(500)).toContain("limit");
  });

  it("says when there is nothing to draw", () => {
    expect(lineChart({ title: "t", series: [{ name: "a", points: points(null) }] }).markup).toContain(
      "No values",
    );
    expect(histogram({ title: "t", bars: [{ label: "x", count: 0 }] }).markup).toContain("Nothing to count");
  });

  it("takes no name for markup", () => {
    const evil = `</title><script>alert("1")</script>`;
    const { markup } = lineChart({
      title: evil,
      series: [{ name: evil, points: points(1, 2) }],
      bands: [{ from: 0, to: 1, label: evil }],
      markers: [{ at: 1, label: evil }],
      targets: [{ value: 1, label: evil }],
    });
    expect(markup).not.toContain("<script");
    expect(markup).toContain("&lt;script&gt;");
  });
});

describe("a histogram", () => {
  it("has one bar for each class, as high as its share of the greatest", () => {
    const { markup } = histogram({ title: "t", bars: [5, 10].map((n) => ({ label: `${n}`, count: n })) });
    const heights = [...markup.matchAll(/<rect [^>]*height="([\d.]+)"/g)].map((match) => Number(match[1]));
    expect(heights).toHaveLength(2);
    expect(heights[1]).toBeCloseTo((heights[0] ?? 0) * 2);
  });
});
