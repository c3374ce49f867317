import type { ServerResponse } from "node:http";
import type { HAError } from "../../../core/errors.ts";
import type { RunWatcher } from "../../tenant-hub.ts";
import type { RunEnd, RunView } from "../../run-view.ts";
import { sendJson } from "../answer.ts";
import type { OpenAnswer } from "../open-answers.ts";
import { AppendedText } from "./appended-text.ts";
import { type AnsweredRun, type AnswerForm, NO_ANSWER } from "./answer-form.ts";
import { type ApiError, errorAnswer, type ErrorAnswer, errorOfEnd } from "./errors.ts";

/** Ticks without a byte taken by the client after which a stream is cut. */
const STUCK_TICKS = 4;

export interface RunAnswerParts {
  /** By whose right the client waits, as `Principal.tokenId`. */
  readonly tokenId: string;
  readonly run: AnsweredRun;
  readonly form: AnswerForm;
  readonly stream: boolean;
  readonly response: ServerResponse;
  /** The client has gone, or cannot be answered any more, before the run's end. Called at most once. */
  readonly onGivenUp: () => void;
}

/**
 * One request's answer while its run is under way. Of the text it keeps how far it was told: while a slow client does not
 * take what was written, nothing is written, and what it is told next is read from the hub's view of the run. So a slow
 * reader costs no memory beyond the text itself.
 */
export class RunAnswer implements RunWatcher, OpenAnswer {
  readonly tokenId: string;
  private readonly parts: RunAnswerParts;
  private readonly shown = new AppendedText();
  private view: RunView | null = null;
  private waitsForDrain = false;
  private done = false;
  private stuck = 0;
  private taken = 0;

  constructor(parts: RunAnswerParts) {
    this.parts = parts;
    this.tokenId = parts.tokenId;
    const { response, form, run, stream } = parts;
    response.on("error", () => undefined); // the client has gone: `close` says it
    response.once("close", () => this.giveUp());
    if (!stream) return;
    response.writeHead(200, {
      "Content-Type": "text/event-stream; charset=utf-8",
      "Cache-Control": "no-cache",
      "X-Accel-Buffering": "no",
    });
    response.write(form.begin(run));
  }

  text(view: RunView): void {
    this.view = view;
    this.pull();
  }

  messageDone(view: RunView): void {
    if (!this.parts.stream || this.done) return;
    this.write(view.text);
    this.shown.messageDone(view.text);
  }

  end(end: RunEnd): void {
    if (this.done) return;
    const failed = errorOfEnd(end);
    if (failed !== null) return this.fail(failed);
    const { form, response, run, stream } = this.parts;
    if (!stream) {
      this.done = true;
      return sendJson(response, 200, form.whole(run, end));
    }
    if (!this.shown.continues(end.text)) return this.fail(REPLACED);
    this.write(end.text);
    if (this.shown.all === "") this.write(NO_ANSWER);
    this.done = true;
    response.end(form.end(run, end, this.shown.all));
  }

  cut(error: HAError): void {
    if (this.done) return;
    this.fail(errorAnswer(error));
    // What a tenant was promised before it was shut out is still executed.
    if (error.code === "DRAINING") this.parts.onGivenUp();
  }

  abandon(): void {
    this.done = true;
  }

  tick(): void {
    const { response, stream } = this.parts;
    const taken = response.socket?.bytesWritten ?? 0;
    const waiting = response.writableLength > 0 || (response.socket?.writableLength ?? 0) > 0;
    this.stuck = waiting && taken === this.taken ? this.stuck + 1 : 0;
    this.taken = taken;
    if (this.stuck >= STUCK_TICKS) response.destroy();
    else if (stream && !this.done && !waiting) response.write(": keep-alive\n\n");
  }

  private pull(): void {
    const { response, stream } = this.parts;
    if (!stream || this.done || this.waitsForDrain || this.view === null) return;
    if (response.writableNeedDrain) {
      this.waitsForDrain = true;
      response.once("drain", () => {
        this.waitsForDrain = false;
        this.pull();
      });
      return;
    }
    if (!this.view.blind && !this.view.ended) this.write(this.view.text);
  }

  private write(text: string): void {
    const added = this.shown.next(text);
    if (added !== "") this.parts.response.write(this.parts.form.delta(this.parts.run, added));
  }

  private fail({ error, headers, status }: ErrorAnswer): void {
    const { form, response, run, stream } = this.parts;
    this.done = true;
    if (stream) return void response.end(form.failed(run, error));
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    sendJson(response, status, form.failedWhole(run, error));
  }

  private giveUp(): void {
    if (this.done) return;
    this.done = true;
    this.parts.onGivenUp();
  }
}

/** OpenClaw's words. A retry with the same Idempotency-Key is answered with the whole text. */
const REPLACED: ErrorAnswer = {
  status: 500,
  headers: {},
  error: {
    message: "Assistant output cannot be represented as an append-only response stream.",
    type: "api_error",
    code: "shownreplaced",
  } satisfies ApiError,
};
