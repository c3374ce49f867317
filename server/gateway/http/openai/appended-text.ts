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
  /** The message is over and all of it was told: a text that does not go on from it is the next message's. */
  private over = false;

  /** What can be told now, given the text of the message as it stands; often nothing. */
  next(text: string): string {
    if (!text.startsWith(this.told)) {
      if (!this.over) return "";
      this.over = false;
      this.told = "";
    }
    let added = text.slice(this.told.length);
    // The agent said something before it used a tool: a paragraph of its own.
    if (added !== "" && this.told === "" && this.all !== "") added = `\n\n${added}`;
    this.told = text;
    this.all += added;
    return added;
  }

  /** The message is over with this text. */
  messageDone(text: string): void {
    this.over = text === this.told;
  }

  /** Whether nothing that was told is taken back by this text. */
  continues(text: string): boolean {
    return this.over || text.startsWith(this.told);
  }
}
