import { describe, expect, it } from "vitest";
import { html, raw } from "./html.ts";
import { page, section, tiles } from "./page.ts";
import { table } from "./table.ts";

describe("markup", () => {
  it("escapes values, keeps markup, and leaves out what is not there", () => {
    expect(html`<p class="${'"x"'}">${"a < b & c"}${null}${false}${[raw("<b>1</b>"), 2]}</p>`.markup).toBe(
      '<p class="&quot;x&quot;">a &lt; b &amp; c<b>1</b>2</p>',
    );
  });
});

describe("a page", () => {
  const text = page({
    title: "A & B",
    summary: "all of it",
    verdict: { text: "pass", tone: "good" },
    body: [
      section("Part", "note", tiles([{ label: "ack", value: "3 ms", tone: "bad" }])),
      table([{ title: "name" }, { title: "n", number: true }], [["<x>", { text: "7", tone: "bad" }]]),
    ],
    footer: html`end`,
  });

  it("needs nothing from anywhere: no script, no address, no import", () => {
    expect(text).not.toMatch(/<script|<link|https?:|url\(|@import|src=/);
  });

  it("shows title, verdict, tiles and cells, each escaped", () => {
    expect(text).toContain("<title>A &amp; B</title>");
    expect(text).toMatch(/badge good">pass/);
    expect(text).toMatch(/tile bad/);
    expect(text).toMatch(/<td class="number bad">7/);
    expect(text).toContain("&lt;x&gt;");
  });
});
