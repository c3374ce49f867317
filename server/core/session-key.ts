import { HAError } from "./errors.ts";
import { type AgentId, type SessionKey, sessionKey } from "./ids.ts";

/**
 * The canonical form of a key that a client sent, as the genuine gateway folds it (protocol.md 5):
 * `main`, `global` → `agent:<default>:main`; `foo` → `agent:<default>:foo`; `AGENT:Main:Foo` → `agent:main:foo`.
 * @throws HAError REQUEST_INVALID for an empty or malformed key
 */
export function canonicalSessionKey(sent: string, defaultAgent: AgentId, mainKey = "main"): SessionKey {
  const key = sent.trim().toLowerCase();
  if (key === "") throw new HAError("REQUEST_INVALID", "sessionKey must not be empty");
  if (key.startsWith("agent:")) {
    const [, agent, ...rest] = key.split(":");
    if (!agent || rest.length === 0 || rest.join(":") === "") {
      throw new HAError("REQUEST_INVALID", `malformed session key: expected agent:<id>:<name>`);
    }
    return sessionKey(key);
  }
  if (key === "global" || key === mainKey) return sessionKey(`agent:${defaultAgent}:${mainKey}`);
  return sessionKey(`agent:${defaultAgent}:${key}`);
}

/** The agent part of a canonical key: `agent:work:x` → `work`. */
export function agentOfSessionKey(key: SessionKey): AgentId {
  return (key.split(":")[1] ?? "") as AgentId;
}
