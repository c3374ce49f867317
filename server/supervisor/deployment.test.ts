import { describe, expect, it } from "vitest";
import { newDeployment, parseDeployment } from "./deployment.ts";

const FILE = "/data/deployment.json";
const fresh = newDeployment("default", "id");

describe("the state of a deployment on disk", () => {
  it("reads what it has written", () => {
    expect(parseDeployment(JSON.stringify(fresh), FILE)).toEqual(fresh);
  });

  it("refuses the state of a newer release instead of misreading it", () => {
    const newer = JSON.stringify({ version: 2, anything: true });
    expect(() => parseDeployment(newer, FILE)).toThrow(
      expect.objectContaining({
        code: "CONFIG_INVALID",
        message: "/data/deployment.json was written by a newer release (version 2; this one knows 1)",
      }),
    );
  });

  it("says what is damaged, all of it at once", () => {
    const { name: _, ...nameless } = fresh;
    const text = JSON.stringify({ ...nameless, phase: "asleep" });
    expect(() => parseDeployment(text, FILE)).toThrow(
      expect.objectContaining({
        code: "CONFIG_INVALID",
        details: expect.objectContaining({
          problems: [expect.stringMatching(/^name: /), expect.stringMatching(/^phase: /)],
        }) as unknown,
      }),
    );
  });

  it("refuses half a file", () => {
    expect(() => parseDeployment(JSON.stringify(fresh).slice(0, 40), FILE)).toThrow(
      expect.objectContaining({ code: "CONFIG_INVALID", message: "/data/deployment.json is damaged" }),
    );
  });
});
