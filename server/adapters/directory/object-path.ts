/**
 * Maps keys to paths and back, one to one, on every file system: also where names are compared without case, where a
 * name may have 255 bytes only, and where `a` and `a/b` are both keys.
 *
 * A segment of a key becomes a file or folder name in which every byte but `a-z 0-9 . _ -` is written `%xx`, as is a
 * dot at the beginning (so names of ours, such as `.tmp`, are no key's). Every 80 bytes of a segment become a folder
 * marked by `~` at its end, and the rest, `=` when it is empty, lies in it: so all segments that begin with the same
 * 80 bytes are in one folder, which keeps the order of keys. A file is marked by `@` at its end.
 */
const CHUNK_BYTES = 80; // three characters a byte and the mark: below 255
const FILE_MARK = "@";
const CUT_MARK = "~";
const EMPTY_REST = "=";

/** Relative path of the file that holds the object, with `/`. The key has passed `checkObjectKey`. */
export function objectPath(key: string): string {
  return key.split("/").map(segmentPath).join("/") + FILE_MARK;
}

/** One entry of a folder as a part of a key. */
export interface KeyPart {
  readonly kind: "object" | "folder";
  /** Bytes that the entry adds to the key of its folder; a folder's end in `/`, unless it is a cut segment. */
  readonly bytes: Buffer;
}

/** Null for entries that are not of this mapping. */
export function keyPart(name: string, isFolder: boolean): KeyPart | null {
  if (!isFolder) {
    const bytes = name.endsWith(FILE_MARK) ? decoded(name.slice(0, -1)) : null;
    return bytes === null ? null : { kind: "object", bytes };
  }
  const cut = name.endsWith(CUT_MARK);
  const bytes = decoded(cut ? name.slice(0, -1) : name);
  if (bytes === null) return null;
  return { kind: "folder", bytes: cut ? bytes : Buffer.concat([bytes, SLASH]) };
}

const SLASH = Buffer.from("/");

function segmentPath(segment: string): string {
  const bytes = Buffer.from(segment);
  const names: string[] = [];
  let at = 0;
  for (; bytes.length - at >= CHUNK_BYTES; at += CHUNK_BYTES) {
    names.push(encoded(bytes.subarray(at, at + CHUNK_BYTES)) + CUT_MARK);
  }
  names.push(at === bytes.length ? EMPTY_REST : encoded(bytes.subarray(at)));
  return names.join("/");
}

function encoded(bytes: Buffer): string {
  let name = "";
  for (const [index, byte] of bytes.entries()) {
    const character = String.fromCharCode(byte);
    const plain = /[a-z0-9._-]/u.test(character) && !(index === 0 && character === ".");
    name += plain ? character : `%${byte.toString(16).padStart(2, "0")}`;
  }
  return name;
}

function decoded(name: string): Buffer | null {
  if (name === EMPTY_REST) return Buffer.alloc(0);
  if (!/^(?:[a-z0-9_-]|%[0-9a-f]{2})(?:[a-z0-9._-]|%[0-9a-f]{2})*$/u.test(name)) return null;
  const bytes = name.replaceAll(/%([0-9a-f]{2})/gu, (_, hex: string) =>
    String.fromCharCode(parseInt(hex, 16)),
  );
  return Buffer.from(bytes, "latin1");
}
