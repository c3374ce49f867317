import { randomUUID } from "node:crypto";
import { deploymentAddresses } from "./addresses.ts";
import type { DeploymentAddresses } from "./addresses.ts";
import type { DeploymentState } from "./deployment.ts";
import { newDeployment, readDeployment, writeDeployment } from "./deployment.ts";
import type { DeploymentSecrets } from "./secrets.ts";
import { newSecrets, readSecrets, writeSecrets } from "./secrets.ts";

/** What is known of a deployment and kept on disk. Only the holder of the lock opens one. */
export interface DeploymentBook {
  readonly dataDir: string;
  state(): DeploymentState;
  secrets(): DeploymentSecrets;
  /** Null until the stores ran once. */
  addresses(): DeploymentAddresses | null;
  /** Changes the state and writes it down. @throws HAError CONFIG_INVALID when it cannot be written */
  save(change: Partial<DeploymentState>): Promise<void>;
  saveSecrets(secrets: DeploymentSecrets): Promise<void>;
  /** Changes what is known without writing it: what a later supervisor would see by itself. */
  note(change: Partial<DeploymentState>): void;
}

/** @throws HAError CONFIG_INVALID when the files are damaged or of a newer release */
export async function openBook(dataDir: string, name: string): Promise<DeploymentBook> {
  let state = (await readDeployment(dataDir)) ?? newDeployment(name, randomUUID());
  let secrets = (await readSecrets(dataDir)) ?? newSecrets();
  // Writes follow one another, so that what was said last is what stays.
  let writing: Promise<void> = Promise.resolve();
  const inTurn = (write: () => Promise<void>): Promise<void> => {
    const written = writing.then(write);
    writing = written.catch(() => undefined);
    return written;
  };
  return {
    dataDir,
    state: () => state,
    secrets: () => secrets,
    addresses: () => deploymentAddresses(dataDir, state, secrets),
    save(change) {
      state = { ...state, ...change };
      return inTurn(() => writeDeployment(dataDir, state));
    },
    saveSecrets(next) {
      secrets = next;
      return inTurn(() => writeSecrets(dataDir, secrets));
    },
    note: (change) => void (state = { ...state, ...change }),
  };
}
