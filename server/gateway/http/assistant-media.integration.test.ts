import { describe, expect, it, onTestFinished } from "vitest";
import { fakeClock } from "../../testing/fake-clock.ts";
import { ACME_TOKEN, gatewayPool, OTHER_TOKEN } from "../../testing/gateway-pool.ts";
import { connectWire } from "../../testing/wire-client.ts";
import { assembleGateway } from "../assemble.ts";
import { startGateway } from "../main.ts";

const PNG = Buffer.from("89504e470d0a1a0a0000000d49484452", "hex");

/** Two gateways, a picture and an HTML file that were sent over them. */
async function setup() {
  const clock = fakeClock();
  const pool = await gatewayPool({ clock });
  const urls: string[] = [];
  for (const instance of ["gateway-1", "gateway-2"]) {
    const gateway = await startGateway(pool.deps({ instance }));
    onTestFinished(() => gateway.close());
    urls.push(gateway.url.replace("ws:", "http:"));
  }
  const client = await connectWire(assembleGateway(pool.deps()).gateway);
  await client.ok("chat.send", {
    sessionKey: "main",
    message: "look",
    idempotencyKey: "k1",
    attachments: [
      { mimeType: "image/png", content: PNG.toString("base64") },
      { mimeType: "text/html", fileName: "a.html", content: Buffer.from("<b>").toString("base64") },
    ],
  });
  const get = (url: string, query: Readonly<Record<string, string>>, token?: string) =>
    fetch(`${url}/__openclaw__/assistant-media?${new URLSearchParams(query).toString()}`, {
      headers: token === undefined ? {} : { Authorization: `Bearer ${token}` },
    });
  return { pool, clock, one: urls[0]!, two: urls[1]!, get };
}

const sourceOf = async (bytes: Uint8Array, extension: string): Promise<string> =>
  `media://inbound/${Buffer.from(await crypto.subtle.digest("SHA-256", Uint8Array.from(bytes))).toString("hex")}.${extension}`;

describe("attachments over HTTP", () => {
  it("are told of with a ticket, with which any gateway gives the bytes", async () => {
    const { one, two, get } = await setup();
    const source = await sourceOf(PNG, "png");
    const meta = await get(one, { source, meta: "1" }, ACME_TOKEN);
    const told = (await meta.json()) as { mediaTicket: string };
    expect(told).toMatchObject({ available: true, mimeType: "image/png", sizeBytes: PNG.length });
    const picture = await get(two, { source, mediaTicket: told.mediaTicket, sessionKey: "agent:main:main" });
    expect(Buffer.from(await picture.arrayBuffer())).toEqual(PNG);
    expect(picture.headers.get("content-type")).toBe("image/png");
    expect(picture.headers.get("x-content-type-options")).toBe("nosniff");
    expect((await get(one, { source }, ACME_TOKEN)).status).toBe(200);
  });

  it("are nobody's without token or ticket, nor with a ticket for something else or that is too old", async () => {
    const { one, get, clock } = await setup();
    const source = await sourceOf(PNG, "png");
    expect((await get(one, { source })).status).toBe(401);
    expect((await get(one, { source, meta: "1" }, "wrong")).status).toBe(401);
    const { mediaTicket } = (await (await get(one, { source, meta: "1" }, ACME_TOKEN)).json()) as {
      mediaTicket: string;
    };
    const other = await sourceOf(Buffer.from("<b>"), "html");
    expect((await get(one, { source: other, mediaTicket })).status).toBe(404);
    expect((await get(one, { source, mediaTicket: `${mediaTicket.slice(0, -2)}AA` })).status).toBe(404);
    expect((await get(one, { source, mediaTicket: "v1.x" })).status).toBe(404);
    await clock.advance(300_001);
    expect((await get(one, { source, mediaTicket })).status).toBe(404);
  });

  it("are another tenant's only as what is not there", async () => {
    const { one, get } = await setup();
    const source = await sourceOf(PNG, "png");
    expect(await (await get(one, { source, meta: "1" }, OTHER_TOKEN)).json()).toMatchObject({
      available: false,
      code: "file-not-found",
    });
    expect((await get(one, { source }, OTHER_TOKEN)).status).toBe(404);
  });

  it("are never a page: what is no picture is a download", async () => {
    const { one, get } = await setup();
    const page = await get(one, { source: await sourceOf(Buffer.from("<b>"), "html") }, ACME_TOKEN);
    expect(page.headers.get("content-type")).toBe("application/octet-stream");
    expect(page.headers.get("content-disposition")).toBe("attachment");
    await page.arrayBuffer();
    for (const source of ["", "/etc/passwd", "media://inbound/../x.png", "file:///etc/passwd"]) {
      expect((await get(one, { source }, ACME_TOKEN)).status).toBe(404);
    }
  });

  it("can be asked for again while object storage is away", async () => {
    const { pool, one, get } = await setup();
    pool.objects.break("before");
    const answer = await get(one, { source: await sourceOf(PNG, "png"), meta: "1" }, ACME_TOKEN);
    expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "1"]);
  });
});
