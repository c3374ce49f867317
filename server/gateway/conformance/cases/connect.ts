import { generateKeyPairSync, hash, sign } from "node:crypto";
import { connectParamsOf } from "../../../testing/wire-client.ts";
import { signedTexts } from "../../protocol/device-proof.ts";
import type { ConformanceCase, ScriptClient } from "../script.ts";

type Params = Record<string, unknown>;

const client = (id: string, mode: string): Params => ({ id, mode, version: "1.0.0", platform: "linux" });

/** One `connect`, told by its params beside those of a plain back end. `null` takes the auth away. */
const connecting = (
  name: string,
  params: (token: string, stranger: ScriptClient) => Params,
): ConformanceCase => ({
  name: `connect: ${name}`,
  methods: ["connect"],
  async run(script) {
    const stranger = await script.stranger();
    const { token } = script.target;
    const base = connectParamsOf({ token, scopes: ["operator.read", "operator.write"] });
    const answer = await stranger.socket.request("connect", { ...base, ...params(token, stranger) });
    const { ok, error, payload } = answer;
    if (!ok) {
      script.note("refusal", error);
      script.note("close", await stranger.socket.closing(5_000).catch(() => "stays open"));
      return;
    }
    script.note("auth", payload?.["auth"]);
    for (const method of ["health", "sessions.list", "chat.abort"]) {
      const asked = await stranger.socket.request(
        method,
        method === "chat.abort" ? { sessionKey: "none" } : {},
      );
      script.note(`${method} after it`, asked.ok === true ? "ok" : asked.error);
    }
  },
});

/** A device of its own, with a proof for the challenge of that socket. */
function device(
  stranger: ScriptClient,
  id: string,
  mode: string,
  scopes: readonly string[],
  token: string,
): Params {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const raw = publicKey.export({ type: "spki", format: "der" }).subarray(-32);
  const challenge = stranger.socket.events("connect.challenge")[0]?.payload ?? {};
  const proof = {
    id: hash("sha256", raw, "hex"),
    publicKey: raw.toString("base64url"),
    signedAt: Number(challenge["ts"]),
    nonce: String(challenge["nonce"]),
    signature: "",
  };
  const [text = ""] = signedTexts(proof, {
    clientId: id,
    clientMode: mode,
    role: "operator",
    scopes,
    token,
    platform: "linux",
    deviceFamily: undefined,
    nonce: proof.nonce,
    challengeTs: proof.signedAt,
  });
  return { ...proof, signature: sign(null, Buffer.from(text), privateKey).toString("base64url") };
}

const SCOPES = ["operator.read", "operator.write"];

const withDevice = (id: string, mode: string) => (token: string, stranger: ScriptClient) => ({
  client: client(id, mode),
  device: device(stranger, id, mode, SCOPES, token),
});

/** The handshake (protocol.md 2): versions, roles, identities, credentials. */
export const connectCases: readonly ConformanceCase[] = [
  {
    name: "connect: hello",
    methods: ["connect"],
    async run(script) {
      const stranger = await script.stranger();
      const { token } = script.target;
      script.note("challenge", stranger.socket.frames[0]);
      const hello = await stranger.socket.request("connect", connectParamsOf({ token, scopes: SCOPES }));
      const { features, snapshot, ...payload } = hello.payload ?? {};
      const { methods, events, ...more } = features as Params;
      script.note("hello", payload);
      script.note("features", more);
      script.note("features.methods", [typeof (methods as string[])[0]]);
      script.note("features.events", [typeof (events as string[])[0]]);
      const { presence, health, ...rest } = snapshot as Params;
      script.note("snapshot", rest);
      const own =
        (presence as Params[]).find(({ text }) => String(text).includes("gateway-client")) ??
        (presence as Params[])[0];
      script.note("snapshot.presence item", own);
      script.note("snapshot.health", { ...(health as Params), sessions: "<below>", agents: "<below>" });
    },
  },
  connecting("protocol 3 to 5", () => ({ minProtocol: 3, maxProtocol: 5 })),
  connecting("protocol 5", () => ({ minProtocol: 5, maxProtocol: 5 })),
  connecting("protocol 3", () => ({ minProtocol: 3, maxProtocol: 3 })),
  connecting("wrong token", () => ({ auth: { token: "wrong" } })),
  connecting("token as password", (token) => ({ auth: { password: token } })),
  connecting("empty token", () => ({ auth: { token: "" } })),
  connecting("no auth", () => ({ auth: undefined })),
  connecting("role node", () => ({ role: "node" })),
  connecting("unknown role", () => ({ role: "emperor" })),
  connecting("unknown scope", () => ({ scopes: ["operator.read", "operator.fly"] })),
  connecting("no scopes", () => ({ scopes: [] })),
  connecting("scopes left out", () => ({ scopes: undefined })),
  connecting("read alone", () => ({ scopes: ["operator.read"] })),
  connecting("write alone", () => ({ scopes: ["operator.write"] })),
  connecting("admin alone", () => ({ scopes: ["operator.admin"] })),
  connecting("unknown client id", () => ({ client: client("netscape", "cli") })),
  connecting("unknown client mode", () => ({ client: client("cli", "yelling") })),
  connecting("client without a version", () => ({ client: { ...client("cli", "cli"), version: undefined } })),
  connecting("no client", () => ({ client: undefined })),
  connecting("numeric minProtocol as text", () => ({ minProtocol: "4" })),
  connecting("unknown property", () => ({ fromTheFuture: true })),
  ...(
    [
      ["cli", "cli"],
      ["cli", "backend"],
      ["gateway-client", "ui"],
      ["gateway-client", "cli"],
      ["openclaw-tui", "ui"],
      ["openclaw-control-ui", "webchat"],
      ["webchat-ui", "webchat"],
      ["openclaw-probe", "probe"],
      ["test", "test"],
      ["openclaw-macos", "ui"],
    ] as const
  ).map(([id, mode]) => connecting(`${id}/${mode} without a device`, () => ({ client: client(id, mode) }))),
  ...(
    [
      ["cli", "cli"],
      ["gateway-client", "backend"],
      ["openclaw-tui", "ui"],
      ["openclaw-control-ui", "webchat"],
    ] as const
  ).map(([id, mode]) => connecting(`${id}/${mode} with a device`, withDevice(id, mode))),
  connecting("a device with a bad signature", (token, stranger) => ({
    device: {
      ...device(stranger, "gateway-client", "backend", SCOPES, token),
      signature: Buffer.alloc(64).toString("base64url"),
    },
  })),
  connecting("a device with another id", (token, stranger) => ({
    device: { ...device(stranger, "gateway-client", "backend", SCOPES, token), id: "0".repeat(64) },
  })),
  connecting("a device with another nonce", (token, stranger) => ({
    device: { ...device(stranger, "gateway-client", "backend", SCOPES, token), nonce: "another" },
  })),
  connecting("a device with an old signature", (token, stranger) => ({
    device: { ...device(stranger, "gateway-client", "backend", SCOPES, token), signedAt: 1_000 },
  })),
];
