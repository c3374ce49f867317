import { Command } from "commander";
import { HAError } from "../../server/core/errors.ts";
import { tenantId } from "../../server/core/ids.ts";
import { noTenant, notRemovable } from "../../server/ports/directory.ts";
import type { CliContext } from "../context.ts";
import { withPorts } from "../ports.ts";

interface Flags {
  /** A folder; false: --no-export. */
  readonly export?: string | false;
  readonly yes?: boolean;
}

export const removeCommand = (context: CliContext): Command =>
  new Command("remove")
    .description("remove a disabled tenant for good: its tokens, sessions, runs and transcripts")
    .argument("<tenant>", "its id")
    .option(
      "--export <dir>",
      "write its sessions and transcripts there first; the folder must be new or empty",
    )
    .option("--no-export", "keep nothing")
    .option("--yes", "do it: there is no way back")
    .addHelpText(
      "after",
      `
Its objects stay where they lie, under tenants/TENANT/ of the object storage; its id is not given out again. Killed in
between, the same command goes on.

Examples:
  openclaw-ha tenant disable acme
  openclaw-ha tenant remove acme --export ./acme --yes`,
    )
    .action(async (id: string, flags: Flags) => {
      const tenant = tenantId(id);
      if (tenant === "default") {
        throw new HAError("REQUEST_INVALID", "tenant default is the deployment's own", {
          hint: "openclaw-ha down --purge deletes a deployment",
        });
      }
      if (flags.export === undefined) {
        throw usage("say where its data goes: --export DIR, or --no-export to keep nothing");
      }
      if (flags.yes !== true) throw usage("there is no way back: say --yes");
      const { withDirectory } = await import("../tenants/with-directory.ts");
      const removed = await withDirectory(context, async ({ directory }) => {
        const known = (await directory.tenants()).find((one) => one.id === tenant);
        let exported = 0;
        if (known !== undefined && typeof flags.export === "string") {
          if (!known.disabled) throw notRemovable(tenant, "enabled");
          const { exportTenant } = await import("../tenants/export-tenant.ts");
          const dir = flags.export;
          exported = await withPorts(context, (ports) => exportTenant(context, ports, tenant, dir));
        }
        await directory.removeTenant(tenant).catch((error: unknown) => {
          throw known === undefined ? noTenant(tenant) : error;
        });
        return { id, removed: true, exported };
      });
      context.output.result(
        removed,
        ({ exported }) => `tenant ${id} is removed; sessions exported: ${exported}`,
      );
    });

const usage = (message: string): HAError =>
  new HAError("REQUEST_INVALID", message, { hint: "see `openclaw-ha tenant remove --help`" });
