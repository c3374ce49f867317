import type { Documented } from "../documented.ts";

/** What is accepted here and refused there, or the other way round. */
export const leniencyDifferences: readonly Documented[] = [
  {
    id: "unknown-fields",
    what: "Fields that a method does not know are ignored; the genuine gateway refuses the request.",
    why: "Clients of a newer release send fields of theirs: they must work on a pool that is one release behind.",
    lines: [
      "missing connect: unknown property › {refusal,close}",
      "extra connect: unknown property › {auth,health after it,sessions.list after it,chat.abort after it}",
      "value {chat.send: unknown property › answer,chat.history: bad params › unknown property,agent: bad params › unknown property,sessions.list: bad params › unknown property,sessions.patch: fields › unknown property}.ok",
      "missing {chat.send: unknown property › answer,chat.history: bad params › unknown property,agent: bad params › unknown property,sessions.list: bad params › unknown property,sessions.patch: fields › unknown property}.error",
      "extra {chat.send: unknown property › answer,chat.history: bad params › unknown property,agent: bad params › unknown property,sessions.list: bad params › unknown property,sessions.patch: fields › unknown property}.payload",
    ],
  },
  {
    id: "unknown-agent",
    what: "An agent that is not configured is an error in every method, always in the same words. The genuine gateway answers with an empty list, an empty history or a made-up identity in some.",
    why: "An empty answer hides a typing error from its user.",
    lines: [
      "value {agent.identity.get: unknown agent › answer,chat.history: bad params › unknown agent,sessions.list: bad params › unknown agent,sessions.messages.subscribe: and unsubscribe › unknown agent,sessions.describe: rows › unknown agent}.ok",
      "missing {agent.identity.get: unknown agent › answer,chat.history: bad params › unknown agent,sessions.list: bad params › unknown agent,sessions.messages.subscribe: and unsubscribe › unknown agent,sessions.describe: rows › unknown agent}.payload",
      "extra {agent.identity.get: unknown agent › answer,chat.history: bad params › unknown agent,sessions.list: bad params › unknown agent,sessions.messages.subscribe: and unsubscribe › unknown agent,sessions.describe: rows › unknown agent}.error",
      "value {models.list: of an unknown agent › answer,commands.list: plain › unknown agent,agent: bad params › unknown agent,agent: bad params › agent of another session,sessions.create: new and existing › unknown agent,chat.send: another agent than the key's › answer}.error.message",
    ],
  },
  {
    id: "unknown-model",
    what: "A model that its provider does not list is refused at once by agent, sessions.create and sessions.patch. The genuine gateway accepts it.",
    why: "The error belongs where the name was typed.",
    lines: [
      "value {agent: bad params,sessions.create: new and existing,sessions.patch: fields} › unknown model.ok",
      "missing {agent: bad params,sessions.create: new and existing,sessions.patch: fields} › unknown model.payload",
      "extra {agent: bad params,sessions.create: new and existing,sessions.patch: fields} › unknown model.error",
      "value sessions.patch: fields › unknown provider.error.message",
      "extra sessions.patch: fields › unknown provider.error.details",
    ],
  },
  {
    id: "keys-across-sessions",
    what: "An idempotency key that named a run of another session is a conflict. The genuine gateway answers with the other session's run, and the message is lost.",
    why: "A defect that is not copied: nothing tells the client that its message was thrown away.",
    lines: [
      "value chat.send: same key, another session › answer.ok",
      "missing chat.send: same key, another session › answer.payload",
      "extra chat.send: same key, another session › answer.error",
    ],
  },
  {
    id: "abort-of-another-session",
    what: "chat.abort with a run of another session is refused, whether it runs or has ended. The genuine gateway ends it, although the session in the request is another.",
    why: "A defect that is not copied: the request contradicts itself, and what is lost cannot be had back.",
    lines: [
      "value chat.abort: nothing to abort › run of another session.ok",
      "missing chat.abort: nothing to abort › run of another session.payload",
      "extra chat.abort: nothing to abort › run of another session.error",
    ],
  },
  {
    id: "missing-key-words",
    what: "Where a session key is missing or malformed the message names the field, or the expected form, instead of `session mutation target is unavailable`; messages of what is not found or has changed carry the canonical key.",
    why: "The genuine words name nothing that the client could correct.",
    lines: [
      "value {chat.send: no session key › answer,chat.send: empty session key › answer,chat.send: malformed agent key › answer,sessions.send: as chat.send › no key,sessions.abort: runs › nothing named,sessions.resolve: keys › unknown,chat.inject: into a session › unknown session,sessions.send: as chat.send › unknown session,sessions.patch: fields › archived and not there,sessions.patch: fields › another session,sessions.patch: fields › another history}.error.message",
      "missing {chat.send: no session key › answer,chat.send: empty session key › answer,sessions.send: as chat.send › no key}.error.details",
      "extra {chat.inject: into a session › unknown session,sessions.send: as chat.send › unknown session}.error.details",
    ],
  },
  {
    id: "one-fault",
    what: "A value that fits none of the kinds that it may have is refused with one fault; the genuine gateway lists those of every kind.",
    why: "One reason is what a person can correct.",
    lines: [
      "value {sessions.patch: fields › empty label,sessions.list: filters › in an unknown order,commands.list: plain › unknown scope,sessions.reset: after a turn › a reason that is none}.error.message",
    ],
  },
];
