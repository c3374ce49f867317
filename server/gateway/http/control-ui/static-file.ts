import { realpath } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { extname, join, sep } from "node:path";
import send from "send";

const TYPES: Readonly<Record<string, string>> = {
  ".js": "application/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json; charset=utf-8",
  ".map": "application/json; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".jpg": "image/jpeg",
  ".jpeg": "image/jpeg",
  ".gif": "image/gif",
  ".webp": "image/webp",
  ".ico": "image/x-icon",
  ".txt": "text/plain; charset=utf-8",
  ".wasm": "application/wasm",
  ".webmanifest": "application/manifest+json; charset=utf-8",
  ".woff2": "font/woff2",
};
/** What the build has beside its assets in a compressed form, best first. */
const ENCODINGS = [
  ["br", ".br"],
  ["gzip", ".gz"],
] as const;

/** True for names that can only be files: a page in their place would be taken for one. */
export function isFileName(path: string): boolean {
  const extension = extname(path).toLowerCase();
  return extension in TYPES || ENCODINGS.some(([, suffix]) => suffix === extension);
}

/**
 * Sends a file of the folder, or answers false where there is none: nothing above the folder and nothing that a link
 * leads out of it to. Files under `assets/` carry their hash in their names, so browsers may keep them for ever.
 */
export async function sendFile(
  root: string,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<boolean> {
  const type = TYPES[extname(path).toLowerCase()];
  if (type === undefined) return false;
  const hashed = path.startsWith("assets/");
  response.setHeader("Vary", "Accept-Encoding");
  const accepted = request.headers["accept-encoding"]?.toString() ?? "";
  for (const [encoding, suffix] of hashed ? ENCODINGS : []) {
    if (!new RegExp(`\\b${encoding}\\b(?!;q=0(?:\\.0*)?(?:,|$))`).test(accepted)) continue;
    const compressed = await insideOf(root, path + suffix);
    if (compressed === null) continue;
    return stream(request, response, compressed, { type, hashed, encoding });
  }
  const file = await insideOf(root, path);
  return file !== null && stream(request, response, file, { type, hashed, encoding: null });
}

interface Inside {
  /** Real path of the folder. */
  readonly root: string;
  /** Of the file within it. */
  readonly path: string;
}

async function insideOf(root: string, path: string): Promise<Inside | null> {
  try {
    const [folder, file] = await Promise.all([realpath(root), realpath(join(root, path))]);
    return file.startsWith(folder + sep) ? { root: folder, path: file.slice(folder.length) } : null;
  } catch {
    return null; // not there, or a name that no file can have
  }
}

/** False where it is no regular file after all. */
function stream(
  request: IncomingMessage,
  response: ServerResponse,
  { root, path }: Inside,
  as: { readonly type: string; readonly hashed: boolean; readonly encoding: string | null },
): Promise<boolean> {
  return new Promise((resolve) => {
    response.once("close", () => resolve(true));
    send(request, encodeURI(path).replaceAll(/[?#]/g, encodeURIComponent), {
      root,
      index: false,
      dotfiles: "ignore",
      cacheControl: false,
      acceptRanges: as.encoding === null,
    })
      .on("headers", () => {
        response.setHeader("Content-Type", as.type);
        response.setHeader("Cache-Control", as.hashed ? "public, max-age=31536000, immutable" : "no-cache");
        if (as.encoding !== null) response.setHeader("Content-Encoding", as.encoding);
      })
      .on("directory", () => resolve(false))
      .on("error", (error: { status?: number }) => {
        if (error.status === 404 || response.headersSent) return resolve(false);
        response.writeHead(error.status ?? 500).end();
      })
      .pipe(response);
  });
}
