import { HAError } from "../../../server/core/errors.ts";
import type { Docker } from "../../../server/containers/docker.ts";
import { labelArguments, type Owner } from "../../../server/containers/ownership.ts";

/** A volume that containers mount; of a given size it can be filled. */
export interface Disk {
  /** Its name, for `volumes` of a container. */
  readonly volume: string;
  /**
   * Takes all the room that is left, so that the next write fails as on a full disk. Resolves to what was seen of it.
   * @throws HAError INTERNAL when there is room afterwards
   */
  fill(): Promise<string>;
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
const FREE_BYTES = "df --output=avail --block-size=1 /disk | tail -n 1";
/** Somebody else may give a little back while it is filled. */
const SPARE_BYTES = 256 * 1024;

/**
 * Makes a volume. One of a limited size lies in memory, where it lasts only as long as a container has it mounted: a
 * container that sleeps holds it while the others are killed.
 */
export async function makeDisk({ bytes, docker, image, name, owner }: DiskOptions): Promise<Disk> {
  const volume = `openclaw-ha-${owner.run}-${name}`;
  const labels = labelArguments(owner);
  if (bytes === null) {
    await docker.run(["volume", "create", ...labels, volume]);
    const unlimited = (): Promise<never> =>
      Promise.reject(new HAError("REQUEST_INVALID", `the disk of ${name} has no size: it cannot be filled`));
    return { volume, fill: unlimited, free: unlimited };
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
      // It ends in an error by design: "No space left on device".
      const filling = `dd if=/dev/zero of=${FILLER} bs=4k 2>/dev/null; stat -c %s ${FILLER}; ${FREE_BYTES}`;
      const [taken, free] = (await docker.run(["exec", holder, "sh", "-c", filling])).split("\n").map(Number);
      if (taken === undefined || free === undefined || free > SPARE_BYTES) {
        throw new HAError("INTERNAL", `the disk of ${name} is not full: ${free} bytes are free`, { name });
      }
      return `no space left after ${Math.round(taken / 2 ** 20)} MB, ${free} bytes free`;
    },
    async free() {
      await docker.run(["exec", holder, "rm", "-f", FILLER]);
    },
  };
}
