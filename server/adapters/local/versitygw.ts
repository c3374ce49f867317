import { createHash } from "node:crypto";
import { join } from "node:path";
import { mkdir } from "node:fs/promises";
import { HAError } from "../../core/errors.ts";
import { requireProgram } from "./find-program.ts";
import type { ProgramFolders } from "./find-program.ts";
import { runStore, STORE_ENDING } from "./local-store.ts";
import type { LocalStore, LocalStoreOptions } from "./local-store.ts";
import { ensureFolder, storePassword } from "./store-folder.ts";

export interface VersitygwOptions extends LocalStoreOptions {
  readonly programs: ProgramFolders;
  /** Made when missing; S3's rules for names (3 to 63 characters, lower case). */
  readonly buckets: readonly string[];
}

/** An S3 server of this machine and the keys that it takes. */
export interface LocalS3 extends LocalStore {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly region: string;
}

const REGION = "us-east-1";
const ACCESS_KEY_ID = "openclaw";
const START_TIMEOUT_MS = 15_000;
const HEALTH_PATH = "/openclaw-ha-health";
const INSTALL =
  "install it with `go install github.com/versity/versitygw/cmd/versitygw@latest`, or give --s3-endpoint";

/**
 * Runs versitygw, an S3 server over a folder: a bucket is a folder of `<dir>/buckets`.
 * @throws HAError MISSING_DEPENDENCY, CONFIG_INVALID (folder, port), STORE_UNAVAILABLE
 */
export async function startVersitygw(options: VersitygwOptions): Promise<LocalS3> {
  const command = requireProgram(["versitygw"], options.programs, INSTALL);
  await ensureFolder(options.dir);
  const root = join(options.dir, "buckets");
  for (const bucket of options.buckets) await mkdir(join(root, bucket), { recursive: true });
  const { password } = await storePassword(options.dir);
  const url = `http://127.0.0.1:${options.port}`;
  // A path that belongs to this folder proves that the answer comes from its server and from no other.
  const health = `${HEALTH_PATH}-${createHash("sha256").update(password).digest("hex").slice(0, 16)}`;
  const store = await runStore(
    {
      name: "versitygw",
      spec: {
        command,
        args: [
          "--port",
          `127.0.0.1:${options.port}`,
          "--quiet",
          "--keep-alive",
          "--health",
          health,
          "posix",
          root,
        ],
        env: { ROOT_ACCESS_KEY: ACCESS_KEY_ID, ROOT_SECRET_KEY: password, LC_ALL: "C", TZ: "UTC" },
        cwd: options.dir,
      },
      url,
      ask: async () => (await fetch(url + health, { signal: AbortSignal.timeout(1_000) })).ok,
      explain: (output) => explain(output, options.port),
      ending: STORE_ENDING,
      startTimeoutMs: START_TIMEOUT_MS,
    },
    options,
  );
  return { ...store, accessKeyId: ACCESS_KEY_ID, secretAccessKey: password, region: REGION };
}

function explain(output: string, port: number): HAError | null {
  if (!/address already in use/u.test(output)) return null;
  const message = `port ${port} of 127.0.0.1, meant for versitygw, is taken by another process`;
  return new HAError("CONFIG_INVALID", message, { port });
}
