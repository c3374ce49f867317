import { EventEmitter } from "node:events";
import type { ServerResponse } from "node:http";
import { describe, expect, it, vi } from "vitest";
import { HAError } from "../../../core/errors.ts";
import { agentId, runId, sessionKey, tenantId } from "../../../core/ids.ts";
import { RunView } from "../../run-view.ts";
import type { AnswerForm } from "./answer-form.ts";
import { RunAnswer } from "./run-answer.ts";

/** A response whose client reads when the test says so. */
class FakeResponse extends EventEmitter {
  readonly written: string[] = [];
  readonly socket = { bytesWritten: 0, writableLength: 0 };
  full = false;
  ended = false;
  destroyed = false;
  headersSent = false;
  get writableNeedDrain(): boolean {
    return this.full;
  }
  get writableLength(): number {
    return this.full ? 1 : 0;
  }
  writeHead(): this {
    this.headersSent = true;
    return this;
  }
  write(text: string): boolean {
    this.written.push(text);
    return !this.full;
  }
  end(text: string): void {
    this.written.push(text);
    this.ended = true;
  }
  destroy(): void {
    this.destroyed = true;
    this.emit("close");
  }
  drain(): void {
    this.full = false;
    this.emit("drain");
  }
}

const FORM: AnswerForm = {
  whole: () => ({}),
  failedWhole: () => ({}),
  begin: () => "begin",
  delta: (_run, text) => text,
  end: (_run, _end, text) => `end:${text}`,
  failed: (_run, { message }) => `failed:${message}`,
};

function setup() {
  const response = new FakeResponse();
  const onGivenUp = vi.fn();
  const tenant = tenantId("acme");
  const answer = new RunAnswer({
    tokenId: "00",
    run: { id: "run", createdAt: 0, model: "openclaw" },
    form: FORM,
    stream: true,
    response: response as unknown as ServerResponse,
    onGivenUp,
  });
  const view = new RunView({
    tenant,
    sessionKey: sessionKey("agent:main:main"),
    agentId: agentId("main"),
    runId: runId("run"),
  });
  const say = (text: string): void => {
    view.setText(text);
    answer.text(view);
  };
  const end = (text: string): void =>
    answer.end({ status: "succeeded", text, stopReason: "stop", runSeq: 9, endedAt: 1 });
  return { answer, end, onGivenUp, response, say, view };
}

describe("a stream whose client reads slowly", () => {
  it("is written nothing while it does not read, then all it missed at once", () => {
    const { response, say } = setup();
    response.full = true;
    let text = "";
    for (let i = 0; i < 1_000; i++) say((text += "word "));
    expect(response.written).toEqual(["begin"]);
    expect(response.listenerCount("drain")).toBe(1);
    response.drain();
    expect(response.written).toEqual(["begin", text]);
  });

  it("gets the end whole", () => {
    const { end, response, say } = setup();
    response.full = true;
    say("one");
    end("one two");
    expect(response.written).toEqual(["begin", "one two", "end:one two"]);
    response.drain();
    expect(response.written).toHaveLength(3);
  });

  it("is cut when it has taken nothing for a minute, and given up", () => {
    const { answer, onGivenUp, response, say } = setup();
    say("one");
    response.full = true;
    for (let i = 0; i < 3; i++) answer.tick();
    response.socket.bytesWritten = 10; // slow, but reading
    for (let i = 0; i < 4; i++) answer.tick();
    expect(response.destroyed).toBe(false);
    for (let i = 0; i < 2; i++) answer.tick();
    expect(response.destroyed).toBe(true);
    expect(onGivenUp).toHaveBeenCalledOnce();
  });

  it("hears a comment now and then while the run is silent", () => {
    const { answer, end, response } = setup();
    answer.tick();
    expect(response.written.at(-1)).toBe(": keep-alive\n\n");
    end("x");
    const before = response.written.length;
    answer.tick();
    expect(response.written).toHaveLength(before);
  });
});

describe("an answer whose connection breaks", () => {
  it("is given up once, and never after its end", () => {
    const broken = setup();
    broken.response.destroy();
    broken.end("late");
    expect(broken.onGivenUp).toHaveBeenCalledOnce();
    const whole = setup();
    whole.end("x");
    whole.response.destroy();
    expect(whole.onGivenUp).not.toHaveBeenCalled();
  });

  it("is told why its gateway cuts it, and given up where the client will ask again", () => {
    const leaving = setup();
    leaving.answer.cut(new HAError("DRAINING", "restarting"));
    expect(leaving.response.written.at(-1)).toBe("failed:restarting");
    expect(leaving.onGivenUp).toHaveBeenCalledOnce();
    const shutOut = setup();
    shutOut.answer.cut(new HAError("FORBIDDEN", "this tenant is disabled"));
    shutOut.response.destroy();
    expect(shutOut.onGivenUp).not.toHaveBeenCalled();
  });

  it("is nobody's wish where the gateway itself ends", () => {
    const { answer, onGivenUp, response } = setup();
    answer.abandon();
    response.destroy();
    expect(onGivenUp).not.toHaveBeenCalled();
  });
});
