import type { SlashCommand } from "./command.ts";

export interface CommandRegistry {
  /** In the order in which clients list them. */
  readonly list: readonly SlashCommand[];
  /** The command that a message is, with the words behind its name; null for an ordinary message. */
  parse(message: string): { readonly command: SlashCommand; readonly args: string } | null;
}

const SHAPE = /^\/([a-z][a-z0-9_-]*)(?:\s*:\s*|\s+|$)([\s\S]*)$/i;

/** Longer ones are no phrase. */
const PHRASE_MAX_LENGTH = 80;
const END_OF_PHRASE = /[.!?！？…,，。;；:：'"’”)\]}]+$/u;

const phraseOf = (message: string): string =>
  message.trim().toLowerCase().replaceAll(/\s+/gu, " ").replace(END_OF_PHRASE, "");

/** As in OpenClaw: unknown slash words, and words behind a command that takes none, are a message to the model. */
export function commandRegistry(families: readonly (readonly SlashCommand[])[]): CommandRegistry {
  const list = families.flat();
  const byName = new Map<string, SlashCommand>();
  const byPhrase = new Map<string, SlashCommand>();
  for (const command of list) {
    for (const name of [command.name, ...(command.aliases ?? [])]) byName.set(name, command);
    for (const phrase of command.phrases ?? []) byPhrase.set(phrase, command);
  }
  return {
    list,
    parse(message) {
      const spoken = message.length > PHRASE_MAX_LENGTH ? undefined : byPhrase.get(phraseOf(message));
      if (spoken) return { command: spoken, args: "" };
      const [, name, args] = SHAPE.exec(message.trim()) ?? [];
      const command = name === undefined ? undefined : byName.get(name.toLowerCase());
      if (!command) return null;
      const words = args?.trim() ?? "";
      return words !== "" && command.args === undefined ? null : { command, args: words };
    },
  };
}
