import { execFile } from "node:child_process";
import { stat } from "node:fs/promises";
import { promisify } from "node:util";
import { HAError } from "../../core/errors.ts";
import type { UnprivilegedUser } from "./postgres-binaries.ts";

const run = promisify(execFile);

/** The name that every distribution's own PostgreSQL uses. */
const NAME = "postgres";

/**
 * Who embedded PostgreSQL runs as: it refuses root. Undefined where this process is not root and simply goes on as
 * itself. As root: the owner of existing data, else the system user `postgres`, made when missing (a system account
 * without a home or a login).
 * @throws HAError CONFIG_INVALID when there is no such user and none can be made
 */
export async function unprivilegedUser(dataDir: string): Promise<UnprivilegedUser | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const owner = await stat(dataDir).catch(() => null);
  if (owner !== null && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
  return (await lookUp()) ?? (await create());
}

async function lookUp(): Promise<UnprivilegedUser | null> {
  try {
    const [uid, gid] = await Promise.all([run("id", ["-u", NAME]), run("id", ["-g", NAME])]);
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
  } catch {
    return null;
  }
}

async function create(): Promise<UnprivilegedUser> {
  const commands: readonly (readonly [string, readonly string[]])[] = [
    [
      "useradd",
      [
        "--system",
        "--user-group",
        "--no-create-home",
        "--home-dir",
        "/nonexistent",
        "--shell",
        "/bin/false",
        NAME,
      ],
    ],
    ["adduser", ["-S", "-D", "-H", "-s", "/bin/false", NAME]], // BusyBox
  ];
  let failure: unknown;
  for (const [command, args] of commands) {
    try {
      await run(command, args, { env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" } });
    } catch (error) {
      failure ??= error;
    }
    const user = await lookUp(); // also when it failed: another process may have made it in this moment
    if (user !== null) return user;
  }
  const message = `PostgreSQL does not run as root, and a system user \`${NAME}\` could not be made; make one, run as another user, or give --postgres-url`;
  throw new HAError("CONFIG_INVALID", message, {}, { cause: failure });
}
