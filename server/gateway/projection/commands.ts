import type { SlashCommand } from "../commands/command.ts";

/** `commands.list` and the metadata of a chat: every command that this pool answers, and no other. */
export const commandsList = (commands: readonly SlashCommand[], includeArgs: boolean): readonly unknown[] =>
  commands.map(({ name, aliases = [], description, category, args }) => ({
    name,
    nativeName: name,
    textAliases: [name, ...aliases].map((alias) => `/${alias}`),
    description,
    category,
    source: "native",
    scope: "both",
    acceptsArgs: args !== undefined,
    ...(args === undefined || args.length === 0 || !includeArgs
      ? {}
      : {
          args: args.map(({ choices, ...arg }) => ({
            ...arg,
            ...(choices ? { choices: choices.map((value) => ({ value, label: value })) } : {}),
          })),
        }),
  }));
