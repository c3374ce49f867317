import { processOf, startProcess } from "../adapters/local/child-process.ts";
import { processIdentity } from "../adapters/local/process-table.ts";
import type { ProcessControl } from "../adapters/process/process-control.ts";

/** Processes of this machine, as the provisioner needs them. */
export const machineProcesses: ProcessControl = {
  start: ({ noteFile, ...spec }) => startProcess({ ...spec, note: { file: noteFile, port: 0 } }),
  adopt: processOf,
  identify: processIdentity,
  killGroup(leader) {
    try {
      process.kill(-leader, "SIGKILL");
    } catch (error) {
      // Nobody left is the usual case. EPERM: a group of that number belongs to somebody else by now.
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "ESRCH" && code !== "EPERM") throw error;
    }
  },
};
