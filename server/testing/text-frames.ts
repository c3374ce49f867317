/** The text messages in what a server wrote: whole frames, unmasked, each one message (RFC 6455, 5.2). */
export function textsOf(frames: Buffer): string[] {
  const texts: string[] = [];
  for (let at = 0; at < frames.length;) {
    if (frames[at] !== 0x81) throw new Error(`no whole text message begins with ${frames[at]}`);
    const short = frames[at + 1] ?? 0;
    const header = short < 126 ? 2 : short === 126 ? 4 : 10;
    const start = at + header;
    const length =
      header === 2
        ? short
        : header === 4
          ? frames.readUInt16BE(at + 2)
          : Number(frames.readBigUInt64BE(at + 2));
    at = start + length;
    texts.push(frames.toString("utf8", start, at));
  }
  return texts;
}
