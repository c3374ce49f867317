import { describe, expect, it } from "vitest";
import {
  compactionId,
  compactionMessage,
  contextOfHistory,
  contextTokens,
  type ContextEntry,
  firstKeptSeqOf,
  grown,
  NO_HISTORY,
  planCompaction,
} from "./compaction.ts";
import { messageText, type TranscriptMessage } from "./transcript.ts";

const text = (seq: number, role: TranscriptMessage["role"], more: Partial<TranscriptMessage> = {}) => ({
  seq,
  messageId: `m${seq}`,
  message: { role, content: `${seq}`.padEnd(40, "."), timestamp: seq, ...more },
});
const call = (seq: number): ContextEntry =>
  text(seq, "assistant", { content: [{ type: "toolCall", id: `c${seq}`, name: "add", arguments: {} }] });
const result = (seq: number): ContextEntry => text(seq, "toolResult", { toolCallId: `c${seq - 1}` });
const end = { seq: 100, messageId: "user" };
const history = (...entries: readonly ContextEntry[]) => ({ compaction: null, entries });
const plan = (entries: readonly ContextEntry[], keep: number) => {
  const planned = planCompaction(history(...entries), end, keep);
  const seqs = (messages: readonly TranscriptMessage[]) => messages.map(({ timestamp }) => timestamp);
  return planned === null
    ? null
    : [planned.firstKept.seq, seqs(planned.toSummarize), seqs(planned.turnPrefix)];
};

describe("where a context is cut", () => {
  const turns = [1, 3, 5].flatMap((seq) => [text(seq, "user"), text(seq + 1, "assistant")]);

  it("keeps about as many of the newest tokens as it should", () => {
    expect(plan(turns, 40)).toEqual([3, [1, 2], []]);
    expect(plan(turns, 15)).toEqual([5, [1, 2, 3, 4], []]);
    expect(plan(turns, 1_000)).toBeNull();
  });

  it("summarises the beginning of a turn for itself where the cut goes through one", () => {
    expect(plan(turns, 5)).toEqual([6, [1, 2, 3, 4], [5]]);
  });

  it("never parts a tool's result from its call", () => {
    const tools = [text(1, "user"), text(2, "assistant"), text(3, "user"), call(4), result(5), result(6)];
    for (let keep = 0; keep < 60; keep++) {
      const planned = planCompaction(history(...tools), end, keep);
      expect(planned?.kept[0]?.message.role ?? "user").not.toBe("toolResult");
    }
    expect(plan(tools, 0)?.[0]).toBe(100);
    expect(plan(tools, 11)?.[0]).toBe(100);
    expect(plan(tools, 21)?.[0]).toBe(4);
  });

  it("leaves out commands and their answers, and has nothing to do where there is nothing else", () => {
    const command = { excludeFromContext: true };
    const commands = [text(7, "user", command), text(8, "assistant", command)];
    expect(plan([...turns, ...commands], 15)).toEqual([5, [1, 2, 3, 4], []]);
    expect(plan(commands, 0)).toBeNull();
    expect(plan([], 0)).toBeNull();
  });
});

describe("a context", () => {
  it("is the newest summary and the rows from the first kept one on", () => {
    const made = (seq: number, firstKeptSeq: number, summary: string): ContextEntry => ({
      seq,
      messageId: compactionId(firstKeptSeq, "u"),
      message: compactionMessage(
        { summary, firstKeptSeq, firstKeptEntryId: `m${firstKeptSeq}`, tokensBefore: 1, tokensAfter: 1 },
        seq,
      ),
    });
    const once = grown(NO_HISTORY, [text(1, "user"), text(2, "assistant"), made(3, 2, "first")]);
    const twice = grown(once, [text(4, "user"), text(5, "assistant"), made(6, 5, "second"), text(7, "user")]);
    const [summary, ...kept] = contextOfHistory(twice);
    expect(messageText(summary!)).toContain("<summary>\nsecond\n</summary>");
    expect(kept.map(({ timestamp }) => timestamp)).toEqual([5, 7]);
    expect(firstKeptSeqOf(twice.entries[0]!.messageId)).toBeNull();
    expect(firstKeptSeqOf(made(6, 5, "").messageId)).toBe(5);
  });

  it("is as large as the provider counted, and an estimate of what came since", () => {
    const usage = { input: 1_000, output: 50 };
    const messages = [text(1, "user"), text(2, "assistant", { usage }), text(3, "user")].map(
      ({ message }) => message,
    );
    expect(contextTokens(messages, 0)).toBe(1_060);
    expect(contextTokens(messages, 2)).toBe(30); // the answer was counted before a compaction
  });
});
