import { describe, expect, it } from "vitest";
import { originAllowed } from "./origin.ts";

describe("the origin of a browser", () => {
  it.each([
    ["http://127.0.0.1:18789", "127.0.0.1:18789"],
    ["http://localhost:18789", "LOCALHOST:18789"],
    ["http://[::1]:18789", "[::1]:18789"],
    ["https://10.1.2.3", "10.1.2.3"],
    ["http://100.100.1.2:1", "100.100.1.2:1"],
    ["https://box.tail.ts.net", "box.tail.ts.net"],
    ["http://box.local:18789", "box.local:18789"],
  ])("%s is the gateway's own at %s", (origin, host) => {
    expect(originAllowed(origin, host, [])).toBe(true);
  });

  it.each([
    ["http://evil.example:18789", "evil.example:18789"], // its name may lead to 127.0.0.1 (DNS rebinding)
    ["http://8.8.8.8", "8.8.8.8"],
    ["http://evil.example", "127.0.0.1:18789"],
    ["http://127.0.0.1:1", "127.0.0.1:18789"],
    ["http://127.0.0.1.evil.example", "127.0.0.1.evil.example"],
    ["null", "127.0.0.1:18789"],
    [undefined, "127.0.0.1:18789"],
    ["http://127.0.0.1:18789", undefined],
  ])("%s is not, at %s", (origin, host) => {
    expect(originAllowed(origin, host, [])).toBe(false);
  });

  it("may be allowed by name", () => {
    expect(originAllowed("https://Claw.example", "claw.example", ["https://claw.example/"])).toBe(true);
    expect(originAllowed("https://other.example", "claw.example", ["https://claw.example"])).toBe(false);
    expect(originAllowed("https://other.example", "claw.example", ["*"])).toBe(true);
  });
});
