import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { describe, expect, it, onTestFinished } from "vitest";
import { gatewayPool } from "../../../testing/gateway-pool.ts";
import { startGateway } from "../../main.ts";

const PAGE = `<!doctype html><html lang="en"><link href="./favicon.svg"><script>hello()</script>
<script type="module" src="./assets/index-abc.js"></script></html>`;

/** A folder as OpenClaw's build has it, with a secret beside it that must not be served. */
async function setup(build: "there" | "none" = "there") {
  const folder = await mkdtemp(join(tmpdir(), "openclaw-ha-control-ui-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const root = join(folder, "control-ui");
  await mkdir(join(root, "assets"), { recursive: true });
  await writeFile(join(folder, "secret.txt"), "secret");
  await writeFile(join(root, "index.html"), PAGE);
  await writeFile(join(root, "favicon.svg"), "<svg/>");
  await writeFile(join(root, "assets", "index-abc.js"), "plain");
  await writeFile(join(root, "assets", "index-abc.js.br"), "as brotli");
  await writeFile(join(root, "assets", "index-abc.js.gz"), "as gzip");
  await writeFile(join(root, "assets", "icon-1.png"), "png");
  await symlink("../secret.txt", join(root, "link.txt"));
  await symlink("../..", join(root, "assets", "up"));
  const pool = await gatewayPool();
  const gateway = await startGateway(pool.deps({ controlUi: build === "there" ? root : null }));
  onTestFinished(() => gateway.close());

  const get = (path: string, headers: Record<string, string> = {}, method = "GET") =>
    new Promise<{ status: number; headers: Record<string, string | undefined>; body: Buffer }>(
      (resolve, reject) => {
        const asked = request(
          { host: "127.0.0.1", port: gateway.port, path, method, headers, agent: false },
          (response) => {
            const chunks: Buffer[] = [];
            response.on("data", (chunk: Buffer) => chunks.push(chunk));
            response.on("end", () =>
              resolve({
                status: response.statusCode ?? 0,
                headers: response.headers as Record<string, string | undefined>,
                body: Buffer.concat(chunks),
              }),
            );
          },
        );
        asked.on("error", reject);
        asked.end();
      },
    );
  return { get, root };
}

describe("the Control UI", () => {
  it.each(["/", "/chat", "/agents/main/files?x=1", "/index.html"])("is one page at %s", async (path) => {
    const { get } = await setup();
    const page = await get(path, { accept: "text/html" });
    expect(page.status).toBe(200);
    expect(page.body.toString()).toContain('src="/assets/index-abc.js"');
    expect(page.body.toString()).toContain('data-openclaw-control-ui-base-path=""');
    expect(page.headers).toMatchObject({
      "content-type": "text/html; charset=utf-8",
      "cache-control": "no-cache",
      "x-frame-options": "DENY",
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
    });
    expect(page.headers["content-security-policy"]).toMatch(/script-src 'self' 'sha256-[^']+';/);
  });

  it("is not sent again to who has it, and follows a new build", async () => {
    const { get, root } = await setup();
    const { etag = "" } = (await get("/")).headers;
    expect(await get("/", { "if-none-match": etag })).toMatchObject({ status: 304, body: Buffer.alloc(0) });
    await writeFile(join(root, "index.html"), PAGE.replace("hello", "welcome"));
    const next = await get("/", { "if-none-match": etag });
    expect(next.status).toBe(200);
    expect(next.body.toString()).toContain("welcome()");
  });

  it("is compressed for those who can read it", async () => {
    const { get } = await setup();
    const zipped = await get("/", { "accept-encoding": "gzip" });
    expect(zipped.headers["content-encoding"]).toBe("gzip");
    expect(gunzipSync(zipped.body).toString()).toContain("hello()");
    const assets = await Promise.all(
      ["br, gzip", "gzip", "br;q=0", ""].map((encodings) =>
        get("/assets/index-abc.js", { "accept-encoding": encodings }),
      ),
    );
    expect(assets.map(({ body }) => body.toString())).toEqual(["as brotli", "as gzip", "plain", "plain"]);
    expect(assets.map(({ headers }) => headers["content-type"])).toEqual(
      assets.map(() => "application/javascript; charset=utf-8"),
    );
  });

  it("keeps assets for ever and asks for the rest", async () => {
    const { get } = await setup();
    const asset = await get("/assets/icon-1.png");
    expect(asset.headers).toMatchObject({
      "content-type": "image/png",
      "cache-control": "public, max-age=31536000, immutable",
    });
    expect((await get("/chat/assets/icon-1.png")).body.toString()).toBe("png");
    const icon = await get("/favicon.svg");
    expect(icon.headers).toMatchObject({ "content-type": "image/svg+xml", "cache-control": "no-cache" });
    expect(await get("/favicon.svg", { "if-none-match": icon.headers["etag"] ?? "" })).toMatchObject({
      status: 304,
    });
  });

  it("answers HEAD without a body", async () => {
    const { get } = await setup();
    const [page, file] = await Promise.all([get("/", {}, "HEAD"), get("/favicon.svg", {}, "HEAD")]);
    expect([page.status, file.status, page.body.length, file.body.length]).toEqual([200, 200, 0, 0]);
    expect(file.headers["content-length"]).toBe("6");
  });

  it.each([
    "/../secret.txt",
    "/%2e%2e/secret.txt",
    "/assets/../../secret.txt",
    "/assets/%2e%2e%2f%2e%2e%2fsecret.txt",
    "/..%5csecret.txt",
    "/%00.txt",
    "/%ff.txt",
    "/link.txt",
    "/assets/up/secret.txt",
    "/assets/index-abc.js.br",
    "//etc/hostname.txt",
  ])("serves nothing for %s", async (path) => {
    const { get } = await setup();
    const answer = await get(path, { accept: "*/*" });
    expect(answer.body.toString()).not.toContain("secret");
    expect(answer.status).toBe(404);
  });

  it("does not take a page for a file that is missing, nor for what is no page", async () => {
    const { get } = await setup();
    expect((await get("/assets/gone-1.js")).status).toBe(404);
    expect((await get("/control-ui-config.json")).status).toBe(404);
    expect((await get("/chat", { accept: "application/json" })).status).toBe(404);
    expect((await get("/chat", {}, "POST")).status).toBe(404);
  });

  it("that is not there is a page that says what to do", async () => {
    const { get } = await setup("none");
    const page = await get("/", { accept: "text/html" });
    expect(page.status).toBe(503);
    expect(page.body.toString()).toContain("--control-ui");
    expect((await get("/healthz")).status).toBe(200);
  });

  it("that was removed while the gateway runs is the same page", async () => {
    const { get, root } = await setup();
    await rm(root, { recursive: true });
    expect((await get("/")).body.toString()).toContain("--control-ui");
    expect((await get("/favicon.svg")).status).toBe(404);
  });
});
