import type { Documented } from "../documented.ts";

/** The handshake and frames. */
export const connectionDifferences: readonly Documented[] = [
  {
    id: "hello-extras",
    what: "hello-ok has no build id, no Control UI widgets and surfaces, no session sharing policy, no update schedule, no configuration hash, and advertises only the capabilities that work here.",
    why: "They describe features of one machine's gateway that a pool does not have. No client was found that needs them.",
    lines: [
      "missing connect: hello › *.{capabilities,server.buildId,controlUiWidgetKinds,pluginSurfaceUrls,policy.allowedSessionVisibilities,policy.hasMultipleSessionSharingIdentities}",
      "missing connect: hello › snapshot.{suspension,appliedConfigHash,updateSchedule,presence item.ip,presence item.deviceFamily}",
      "length connect: hello › features.capabilities",
      "value connect: hello › {hello.server.controlUiBuildSource,snapshot.presence item.platform,snapshot.presence item.text}",
      "extra connect: hello › snapshot.authMode",
    ],
  },
  {
    id: "health-of-a-pool",
    what: "health has no event loop figures, model runtime, configuration reload state and heartbeat prompt; its session store is named PostgreSQL; it adds `plugins` and `liveEvents` (whether events come live or delayed).",
    why: "A gateway of a pool runs no model, reloads no configuration and has no heartbeat; how busy it is is told by /metrics.",
    lines: [
      "missing {health: plain,status: plain} › answer.{modelRuntime,eventLoop}",
      "missing health: plain › answer.configReload",
      "missing connect: hello › snapshot.health.{configReload,eventLoop}",
      "missing health: plain › agent.heartbeat.{every,everyMs,prompt,target,ackMaxChars}",
      "value health: plain › sessions.path",
      "extra {health: plain › answer,connect: hello › snapshot.health}.{plugins,liveEvents}",
    ],
    sometimes: ["missing connect: hello › snapshot.health.modelRuntime"],
  },
  {
    id: "device-tokens",
    what: "A device proof is checked, but no device is paired: `auth` has no deviceToken, issuedAtMs, recoveryScope and recoveryMigrationAllowed.",
    why: "Access is a tenant's token, which can be revoked; a second credential per device would outlive it.",
    lines: [
      "missing connect: * › {auth,hello.auth}.recoveryScope",
      "missing connect: * › auth.{recoveryMigrationAllowed,deviceToken,issuedAtMs}",
    ],
  },
  {
    id: "connect-words",
    what: "The refusals of a wrong token and of a TUI without a device say it in other words, and that of a foreign origin has no `details.reason`. Codes, detail codes and close codes are the same.",
    why: "The words name what to do in a deployment; `openclaw-ha env` prints the token.",
    lines: [
      "value connect: wrong token › {refusal.message,close.reason}",
      "value connect: openclaw-tui/ui without a device › {refusal.message,close.reason}",
      "missing connect: {openclaw-control-ui/webchat without,webchat-ui/webchat without,openclaw-control-ui/webchat with} a device › refusal.details.reason",
    ],
  },
  {
    id: "no-nodes",
    what: "The role `node` is refused as invalid whether or not the node has a device.",
    why: "A pool has no nodes: nothing of it runs on a user's machine.",
    lines: [
      "value connect: role node › {refusal.code,refusal.message,close.reason}",
      "missing connect: role node › refusal.details",
    ],
  },
  {
    id: "frame-words",
    what: "Frames of type `res` and `event` are refused with the first fault alone, and a numeric request id comes back as `invalid`.",
    why: "The genuine gateway lists faults of every frame type it knows, and repeats an id that its own clients could not match.",
    lines: [
      "value after connect: {a response,an event} › reaction.answers[].error.message",
      "type after connect: a numeric id › reaction.answers[].id",
    ],
  },
  {
    id: "scopes",
    what: "An unknown method is called unknown also to a client without scopes. The genuine gateway asks for operator.admin before it says so.",
    why: "Whether a method exists is advertised to everyone in hello-ok.",
    lines: [
      "value missing scope › an unknown method by nobody.error.{code,message}",
      "missing missing scope › an unknown method by nobody.error.details",
    ],
  },
];
