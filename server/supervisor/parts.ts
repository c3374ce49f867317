import type { InstanceRecords, ProcessControl } from "../adapters/process/process-control.ts";
import type { ProcessProvisioner } from "../adapters/process/provisioner.ts";
import type { Clock } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import type { Random } from "../ports/random.ts";
import type { DeploymentBook } from "./book.ts";
import type { SupervisorDatabase } from "./contract.ts";
import type { DeploymentProgram } from "./deployment.ts";
import type { StoreSet } from "./stores.ts";

/** What a supervisor is made of. */
export interface SupervisorParts {
  readonly book: DeploymentBook;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly database: SupervisorDatabase;
  readonly stores: StoreSet;
  readonly provisioner: ProcessProvisioner;
  readonly records: InstanceRecords;
  readonly processes: ProcessControl;
  /** The checkout that this supervisor runs from. */
  readonly program: DeploymentProgram;
  /** What an instance may take to end by itself, milliseconds. */
  readonly graceMs: number;
}
