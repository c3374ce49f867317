import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { memoryObjectStore } from "../adapters/memory/object-store.ts";
import { mediaFields, type MediaFact, mediaUrl } from "../core/media.ts";
import { objectKey } from "../core/object-key.ts";
import type { TranscriptMessage } from "../core/transcript.ts";
import { breakable } from "../testing/breakable.ts";
import { TENANT } from "../testing/memory-pool.ts";
import { mediaLoader } from "./media-loader.ts";

const never = new AbortController().signal;

function setup(maxBytes = 1_000_000) {
  const objects = breakable(memoryObjectStore());
  const loader = mediaLoader(objects.port, maxBytes);
  const store = async (text: string, fact: Partial<MediaFact>): Promise<MediaFact> => {
    const bytes = Buffer.from(text);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    await objects.port.put(objectKey(TENANT, sha256), bytes);
    const image = { url: mediaUrl(sha256, "png"), contentType: "image/png", kind: "image" } as const;
    return { ...image, sizeBytes: bytes.length, ...fact };
  };
  const said = (content: string, ...media: readonly MediaFact[]): TranscriptMessage => ({
    role: "user",
    content,
    timestamp: 1,
    ...(media.length === 0 ? {} : { __openclaw: mediaFields(media) }),
  });
  const gets = () => objects.calls.filter((call) => call === "get").length;
  return { objects, loader, store, said, gets };
}

describe("mediaLoader", () => {
  it("puts images and texts in their place, and names what a model cannot read", async () => {
    const { loader, store, said } = setup();
    const text = { contentType: "text/plain", kind: "document", fileName: "a.txt" } as const;
    const pdf = { contentType: "application/pdf", kind: "document", fileName: "b.pdf" } as const;
    const message = said("look", await store("png", {}), await store("note", text), await store("%PDF", pdf));
    const [loaded] = await loader.load(TENANT, [message], true, never);
    expect(loaded?.content).toEqual([
      { type: "text", text: "look" },
      { type: "image", data: Buffer.from("png").toString("base64"), mimeType: "image/png" },
      { type: "text", text: '<file name="a.txt" mime="text/plain">\nnote\n</file>' },
      { type: "text", text: "[attached: b.pdf (application/pdf, 4 bytes); this model cannot read it]" },
    ]);
    const [blind] = await loader.load(TENANT, [message], false, never);
    expect(JSON.stringify(blind?.content)).not.toContain('"image"');
  });

  it("reads an object once, as long as there is room for it, and never another tenant's", async () => {
    const { loader, store, said, gets } = setup(20);
    const one = said("1", await store("0123456789", {}));
    await loader.load(TENANT, [one], true, never);
    await loader.load(TENANT, [one, said("plain")], true, never);
    expect(gets()).toBe(1);
    const others = [said("2", await store("abcdefghij", {})), said("3", await store("ABCDEFGHIJ", {}))];
    await loader.load(TENANT, others, true, never);
    await loader.load(TENANT, [one], true, never);
    expect(gets()).toBe(4);
    const [stranger] = await loader.load("other" as never, [one], true, never);
    expect(JSON.stringify(stranger)).toContain("not at hand any more");
  });

  it("gives the newest images where not all fit", async () => {
    const { loader, store, said } = setup();
    const messages = [];
    for (let i = 0; i < 25; i++) messages.push(said(`${i}`, await store(`png ${i}`, {})));
    const loaded = await loader.load(TENANT, messages, true, never);
    const shown = loaded.map(({ content }) => JSON.stringify(content).includes('"type":"image"'));
    expect(shown).toEqual(messages.map((_, i) => i >= 5));
  });

  it("fails as retryable while object storage is away", async () => {
    const { loader, store, said, objects } = setup();
    const message = said("look", await store("png", {}));
    objects.break("before");
    await expect(loader.load(TENANT, [message], true, never)).rejects.toMatchObject({
      code: "STORE_UNAVAILABLE",
    });
  });
});
