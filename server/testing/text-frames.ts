const [TEXT, PING] = [0x81, 0x89];

/** The text messages in what a server wrote: whole frames, unmasked, each one message or a ping (RFC 6455, 5.2). */
export function textsOf(frames: Buffer, onPing?: () => void): string[] {
  const texts: string[] = [];
  for (let at = 0; at < frames.length;) {
    const kind = frames[at];
    if (kind !== TEXT && kind !== PING) throw new Error(`no whole message begins with ${kind}`);
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
    if (kind === PING) onPing?.();
    else texts.push(frames.toString("utf8", start, at));
  }
  return texts;
}
