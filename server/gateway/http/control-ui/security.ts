import { createHash } from "node:crypto";
import type { ServerResponse } from "node:http";

/** Headers of everything that the Control UI is made of; OpenClaw's. */
export function secure(response: ServerResponse): void {
  response.setHeader("X-Frame-Options", "DENY");
  response.setHeader("Content-Security-Policy", contentSecurityPolicy([]));
  response.setHeader("Permissions-Policy", "camera=(self), microphone=*, geolocation=*, clipboard-write=*");
}

/** OpenClaw's policy: its own scripts, and those that stand in the page itself, named by their hashes. */
export const contentSecurityPolicy = (inlineScripts: readonly string[]): string =>
  [
    "default-src 'self'",
    "base-uri 'none'",
    "object-src 'none'",
    "frame-ancestors 'none'",
    "frame-src 'self' http: https:",
    `script-src ${["'self'", ...inlineScripts].join(" ")}`,
    "style-src 'self' 'unsafe-inline' https://fonts.googleapis.com",
    "img-src 'self' data: blob: https:",
    "media-src 'self' data: blob:",
    "font-src 'self' https://fonts.gstatic.com",
    "worker-src 'self'",
    "connect-src 'self' ws: wss: data: https://api.openai.com https://tweakcn.com",
  ].join("; ");

/** Sources of a policy for the scripts that stand in a page. */
export function inlineScriptHashes(html: string): string[] {
  const hashes: string[] = [];
  for (const [, attributes = "", content = ""] of html.matchAll(/<script\b([^>]*)>([^]*?)<\/script>/gi)) {
    if (/\ssrc\s*=/i.test(attributes) || content === "") continue;
    hashes.push(`'sha256-${createHash("sha256").update(content).digest("base64")}'`);
  }
  return hashes;
}
