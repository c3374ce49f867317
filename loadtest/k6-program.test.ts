import { describe, expect, it } from "vitest";
import { installK6, type Machine, requireK6 } from "./k6-program.ts";

const machine = (programs: readonly string[]): Machine => ({
  packageRoot: "/checkout",
  env: {},
  find: (name) => (programs.includes(name) ? `/bin/${name}` : null),
});
const never = new AbortController().signal;

describe("k6", () => {
  it("is used where it is", async () => {
    expect(requireK6(machine(["k6"]))).toBe("/bin/k6");
    expect(await installK6(machine(["k6"]), () => {}, never)).toBe("/bin/k6");
  });

  it("that is missing is told with the one command that makes it good", () => {
    expect(() => requireK6(machine(["go"]))).toThrow(
      expect.objectContaining({
        code: "MISSING_DEPENDENCY",
        details: expect.objectContaining({ hint: "run `openclaw-ha loadtest --install`" }),
      }),
    );
  });

  it("cannot be built without Go: that is told instead", async () => {
    expect(() => requireK6(machine([]))).toThrow(
      expect.objectContaining({ details: expect.objectContaining({ hint: expect.stringContaining("Go") }) }),
    );
    await expect(installK6(machine([]), () => {}, never)).rejects.toMatchObject({
      code: "MISSING_DEPENDENCY",
      details: { programs: ["go"] },
    });
  });
});
