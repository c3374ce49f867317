import { describe, expect, it } from "vitest";
import { deploymentRef, programFor } from "./context.ts";

const home = { HOME: "/home/ada" };

describe("deploymentRef", () => {
  it("keeps deployments under the state folder of the user, by name", () => {
    expect(deploymentRef({}, home, "/")).toEqual({
      name: "default",
      dataDir: "/home/ada/.local/state/openclaw-ha/default",
    });
    expect(deploymentRef({ name: "blue" }, { ...home, XDG_STATE_HOME: "/var/state" }, "/").dataDir).toBe(
      "/var/state/openclaw-ha/blue",
    );
  });

  it("ignores a state folder that is not absolute, as the specification of XDG says", () => {
    expect(deploymentRef({}, { ...home, XDG_STATE_HOME: "state" }, "/").dataDir).toBe(
      "/home/ada/.local/state/openclaw-ha/default",
    );
  });

  it("takes flags over the environment, relative to the working directory", () => {
    const env = { ...home, OPENCLAW_HA_NAME: "env", OPENCLAW_HA_DATA_DIR: "/from/env" };
    expect(deploymentRef({}, env, "/")).toEqual({ name: "env", dataDir: "/from/env" });
    expect(deploymentRef({ name: "flag", dataDir: "here" }, env, "/srv")).toEqual({
      name: "flag",
      dataDir: "/srv/here",
    });
  });

  it.each(["", "..", "a/b", "A", "x".repeat(64), "-x"])("refuses the name %j", (name) => {
    expect(() => deploymentRef({ name }, home, "/")).toThrowError(
      expect.objectContaining({ code: "REQUEST_INVALID" }),
    );
  });
});

describe("programFor", () => {
  it("is the program with the flags that pick the deployment, from any folder", () => {
    expect(programFor({}, "/")).toBe("openclaw-ha");
    expect(programFor({ name: "blue", dataDir: "here" }, "/srv")).toBe(
      "openclaw-ha --name blue --data-dir /srv/here",
    );
    expect(programFor({ dataDir: "/my folder" }, "/")).toBe("openclaw-ha --data-dir '/my folder'");
  });
});
