/**
 * What a stream that can only append has been told of a run's text, over all of its messages. A text that is no longer
 * what was told (another attempt wrote it anew) is held back until it goes on from there; two texts of one message are
 * never glued together.
 *
 * It keeps whole texts and no pieces: a piece of a string keeps the string alive that it was cut from.
 */
export class AppendedText {
  /** Of the messages that are over, as it was told. */
  private before = "";
  /** Of the message under way. */
  private told = "";
  /** The message is over and all of it was told: a text that does not go on from it is the next message's. */
  private over = false;

  /** Everything that was told. */
  get all(): string {
    return this.before + this.told;
  }

  /** What can be told now, given the text of the message as it stands; often nothing. */
  next(text: string): string {
    let gap = "";
    if (!text.startsWith(this.told)) {
      if (!this.over || text === "") return "";
      this.over = false;
      // The agent said something before it used a tool: a paragraph of its own.
      gap = this.told === "" ? "" : "\n\n";
      this.before += this.told + gap;
      this.told = "";
    }
    const added = text.slice(this.told.length);
    this.told = text;
    return gap + added;
  }

  /** The message is over with this text; one without any changes nothing. */
  messageDone(text: string): void {
    this.over = text === this.told || (this.over && text === "");
  }

  /** Whether nothing that was told is taken back by this text. */
  continues(text: string): boolean {
    return this.over || text.startsWith(this.told);
  }
}
