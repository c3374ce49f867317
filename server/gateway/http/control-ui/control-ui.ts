import type { IncomingMessage, ServerResponse } from "node:http";
import { isRead, notFound } from "../answer.ts";
import type { HttpHandler } from "../server.ts";
import { indexPage } from "./index-page.ts";
import { MISSING_PAGE } from "./missing-page.ts";
import { contentSecurityPolicy, secure } from "./security.ts";
import { isFileName, sendFile } from "./static-file.ts";

/**
 * OpenClaw's Control UI, from the folder of its build: files by their names, its one page for every other path, because
 * the UI finds its way by itself. Without a folder: a page that says where to get one.
 */
export function controlUi(root: string | null): HttpHandler {
  const page = root === null ? null : indexPage(root);

  return async (path, request, response) => {
    if (!isRead(request)) return notFound(response);
    secure(response);
    const file = fileOf(path);
    if (file === null) return notFound(response);
    if (root !== null && file !== "" && (await sendFile(root, file, request, response))) return;
    if (response.headersSent) return void response.destroy();
    // So is /control-ui-config.json: the UI then takes its careful defaults (no terminal, no embedded addresses).
    if (isFileName(file) || !acceptsHtml(request)) return notFound(response);
    try {
      if (page !== null) return await page.send(request, response);
    } catch (error) {
      if (response.headersSent) throw error;
    }
    missing(response);
  };
}

/** The folder's file that a path names; null for a path that no file has. */
function fileOf(path: string): string | null {
  let decoded: string;
  try {
    decoded = decodeURIComponent(path);
  } catch {
    return null;
  }
  if (/[\0\\]/.test(decoded) || decoded.split("/").includes("..")) return null;
  // Assets also under a deep path, whose page named them relative to it.
  const assets = decoded.indexOf("/assets/");
  return decoded.slice(assets === -1 ? 1 : assets + 1);
}

/** A browser that opens a page; scripts and styles that are missing must not get HTML. */
function acceptsHtml({ headers }: IncomingMessage): boolean {
  const accept = headers.accept?.trim() ?? "";
  return accept === "" || /(?:text\/(?:html|\*)|application\/xhtml\+xml|\*\/\*)/i.test(accept);
}

function missing(response: ServerResponse): void {
  response.setHeader("Content-Security-Policy", contentSecurityPolicy([]));
  response.writeHead(503, {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Length": Buffer.byteLength(MISSING_PAGE),
  });
  response.end(MISSING_PAGE);
}
