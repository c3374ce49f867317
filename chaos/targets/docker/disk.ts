import type { Docker } from "../../../server/containers/docker.ts";
import { labelArguments, type Owner } from "../../../server/containers/ownership.ts";

/** A volume that containers mount; of a given size it can be filled. */
export interface Disk {
  /** Its name, for `volumes` of a container. */
  readonly volume: string;
  /** Takes all the room that is left, so that the next write fails as on a full disk. */
  fill(): Promise<void>;
  /** Gives the room back. */
  free(): Promise<void>;
}

export interface DiskOptions {
  readonly docker: Docker;
  readonly owner: Owner;
  readonly name: string;
  /** Null: a folder on the engine's disk, which is not filled. */
  readonly bytes: number | null;
  /** Any image with `sleep`, `dd` and `rm`. */
  readonly image: string;
}

const FILLER = "/disk/.filler";

/**
 * Makes a volume. One of a limited size lies in memory, where it lasts only as long as a container has it mounted: a
 * container that sleeps holds it while the others are killed.
 */
export async function makeDisk({ bytes, docker, image, name, owner }: DiskOptions): Promise<Disk> {
  const volume = `openclaw-ha-${owner.run}-${name}`;
  const labels = labelArguments(owner);
  if (bytes === null) {
    await docker.run(["volume", "create", ...labels, volume]);
    const unlimited = (): never => {
      throw new Error(`the disk of ${name} has no size: it cannot be filled`);
    };
    return { volume, fill: async () => unlimited(), free: async () => unlimited() };
  }
  const options = ["type=tmpfs", "device=tmpfs", `o=size=${bytes},mode=1777`];
  await docker.run(["volume", "create", ...labels, ...options.flatMap((one) => ["--opt", one]), volume]);
  const holder = `${volume}-holder`;
  const mounted = ["--volume", `${volume}:/disk`, "--network", "none", "--user", "0"];
  const sleeping = ["--entrypoint", "sleep", image, "infinity"];
  await docker.run(["run", "--detach", "--init", "--name", holder, ...labels, ...mounted, ...sleeping]);
  return {
    volume,
    async fill() {
      // Ends in an error by design: "No space left on device".
      const filling = `dd if=/dev/zero of=${FILLER} bs=64k 2>/dev/null || true`;
      await docker.run(["exec", holder, "sh", "-c", filling]);
    },
    async free() {
      await docker.run(["exec", holder, "rm", "-f", FILLER]);
    },
  };
}
