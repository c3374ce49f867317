/**
 * What a stream that can only append has been told of a run's text, over all of its messages. A text that is no longer
 * what was told (another attempt wrote it anew) is held back until it goes on from there; two texts of one message are
 * never glued together.
 */
export class AppendedText {
  /** Everything that was told. */
  all = "";
  /** Of the message under way. */
  private told = "";
  /** The text of a message that is over: any other text is the next message's. */
  private over: string | null = null;

  /** What can be told now, given the text of the message as it stands; often nothing. */
  next(text: string): string {
    if (this.over !== null && text !== this.over) {
      this.over = null;
      this.told = "";
    }
    if (!text.startsWith(this.told)) return "";
    let added = text.slice(this.told.length);
    // The agent said something before it used a tool: a paragraph of its own.
    if (added !== "" && this.told === "" && this.all !== "") added = `\n\n${added}`;
    this.told = text;
    this.all += added;
    return added;
  }

  /** The message is over with this text. */
  messageDone(text: string): void {
    this.over = text;
  }

  /** Whether nothing that was told is taken back by this text. */
  continues(text: string): boolean {
    return text.startsWith(this.told) || (this.over !== null && text !== this.over);
  }
}
