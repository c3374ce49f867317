import { describe, expect, it } from "vitest";
import { runSeqOf } from "../../server/core/run-event.ts";
import { answerReader, parseChatEvent, type ChatEvent } from "./answer.ts";

const RUN = "run-1";
const SESSION = "agent:main:main";

/** A chat event as gateways send it. */
function chat(state: string, runSeq: number, more: Record<string, unknown> = {}): ChatEvent {
  const event = parseChatEvent({
    runId: RUN,
    sessionKey: SESSION,
    agentId: "main",
    seq: runSeq,
    runSeq,
    state,
    ...more,
  });
  if (event === null) throw new Error("not a chat event");
  return event;
}

const message = (text: string) => ({
  message: { role: "assistant", content: [{ type: "text", text }], timestamp: 1 },
});
const delta = (runSeq: number, deltaText: string, whole: string, replace = false): ChatEvent =>
  chat("delta", runSeq, { deltaText, ...(replace ? { replace } : {}), ...message(whole) });
const final = (runSeq: number, text: string): ChatEvent =>
  chat("final", runSeq, { stopReason: "stop", ...message(text) });

/** Feeds events and answers what stood on the terminal at the end. */
function read(events: readonly ChatEvent[]) {
  const reader = answerReader(RUN);
  let printed = "";
  let contradictions = 0;
  let result = null;
  for (const event of events) {
    const step = reader.push(event);
    printed += step?.print ?? "";
    contradictions += step?.contradicted ? 1 : 0;
    result = step?.result ?? result;
  }
  return { printed, contradictions, result, lastRunSeq: reader.lastRunSeq };
}

describe("answerReader", () => {
  it("prints deltas as they come and the rest with the final", () => {
    const { printed, result } = read([
      delta(2, "Hel", "Hel"),
      delta(3, "lo", "Hello"),
      final(4, "Hello you"),
    ]);
    expect(printed).toBe("Hello you");
    expect(result).toEqual({
      type: "result",
      runId: RUN,
      sessionKey: SESSION,
      status: "ok",
      text: "Hello you",
      usage: null,
    });
  });

  it("prints nothing twice when events are repeated after a reconnect", () => {
    const first = [delta(2, "Hel", "Hel"), delta(3, "lo", "Hello")];
    const { printed } = read([...first, ...first, delta(3, "Hello", "Hello", true), final(4, "Hello")]);
    expect(printed).toBe("Hello");
  });

  it("prints what was missed when a delta covers several events", () => {
    expect(read([delta(2, "a", "a"), delta(9, "bcd", "abcd"), final(10, "abcd")]).printed).toBe("abcd");
  });

  it("goes on where it was when a later attempt says the same again", () => {
    const { printed, contradictions } = read([
      delta(5, "one two", "one two"),
      delta(runSeqOf(2, 1), "", "", true),
      delta(runSeqOf(2, 2), "one", "one"),
      delta(runSeqOf(2, 3), " two three", "one two three"),
      final(runSeqOf(2, 4), "one two three"),
    ]);
    expect(printed).toBe("one two three");
    expect(contradictions).toBe(0);
  });

  it("begins again on a new line, once, when a later attempt says something else", () => {
    const { printed, contradictions, result } = read([
      delta(5, "one two", "one two"),
      delta(runSeqOf(2, 1), "un", "un", true),
      delta(runSeqOf(2, 2), " deux", "un deux"),
      final(runSeqOf(2, 3), "un deux"),
    ]);
    expect(printed).toBe("one two\nun deux");
    expect(contradictions).toBe(1);
    expect(result).toMatchObject({ text: "un deux" });
  });

  it("puts the next message of an attempt on its own line, and contradicts nothing by it", () => {
    const { printed, contradictions } = read([
      delta(2, "Let me look.", "Let me look."),
      delta(4, "", "", true),
      delta(5, "Let me", "Let me"),
      delta(6, " see: 42", "Let me see: 42"),
      final(7, "Let me see: 42"),
    ]);
    expect(printed).toBe("Let me look.\nLet me see: 42");
    expect(contradictions).toBe(0);
  });

  it("drops events of an earlier attempt and of other runs", () => {
    const { printed, lastRunSeq } = read([
      delta(runSeqOf(2, 1), "new", "new", true),
      delta(7, "old", "old"),
      { ...delta(runSeqOf(2, 2), "other", "other"), runId: "run-2" },
    ]);
    expect(printed).toBe("new");
    expect(lastRunSeq).toBe(runSeqOf(2, 1));
  });

  it("says how a run ended that was not answered", () => {
    const failed = chat("error", 3, {
      errorMessage: "no credit",
      errorKind: "unknown",
      errorDetail: { kind: "model_auth" },
    });
    expect(read([delta(2, "par", "par"), failed]).result).toMatchObject({
      status: "error",
      text: "par",
      error: { kind: "model_auth", message: "no credit" },
    });
    const late = chat("error", 3, {
      errorMessage: "too late",
      errorKind: "timeout",
      errorDetail: { kind: "timeout" },
    });
    expect(read([late]).result).toMatchObject({ status: "timeout" });
    expect(read([chat("aborted", 3, { stopReason: "rpc", ...message("part") })]).result).toMatchObject({
      status: "aborted",
      text: "part",
    });
  });

  it("keeps the usage of the terminal event", () => {
    const end = chat("final", 2, { ...message("x"), usage: { input: 3, output: 1 } });
    expect(read([end]).result).toMatchObject({ usage: { input: 3, output: 1 } });
  });

  it("ends a run once", () => {
    const reader = answerReader(RUN);
    expect(reader.push(final(2, "x"))?.result).not.toBeNull();
    expect(reader.push(final(2, "x"))).toBeNull();
  });

  it("takes nothing for an event that is none", () => {
    expect(parseChatEvent(null)).toBeNull();
    expect(parseChatEvent({ state: "delta" })).toBeNull();
  });

  it("prints any stream so that the last line ends as the answer does", () => {
    // Every way to cut a text into deltas, with a takeover after each prefix that says the same from the start.
    const text = "abcde";
    for (let mask = 0; mask < 16; mask++) {
      for (let cut = 1; cut <= 5; cut++) {
        const events: ChatEvent[] = [];
        let seq = 1;
        for (let at = 1; at <= cut; at++) {
          if ((mask >> (at - 1)) & 1 || at === cut) events.push(delta(++seq, "", text.slice(0, at)));
        }
        events.push(delta(runSeqOf(2, 1), "", "", true), final(runSeqOf(2, 2), text));
        expect(read(events)).toMatchObject({ printed: text, contradictions: 0 });
      }
    }
  });
});
