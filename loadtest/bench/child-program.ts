import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";

/** A program of this folder in a process of its own, that is asked one thing at a time over its channel. */
export interface ChildProgram<Request, Answer> {
  readonly pid: number;
  /** @throws Error with what went wrong there, or when it has ended */
  ask(request: Request): Promise<Answer>;
  /** Resolves when it is gone. */
  stop(): Promise<void>;
}

type Reply<Answer> = { readonly answer: Answer } | { readonly error: string };

export function startChild<Request, Answer>(file: string): ChildProgram<Request, Answer> {
  const program = fileURLToPath(new URL(file, import.meta.url));
  const child: ChildProcess = fork(program, {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
    serialization: "advanced",
  });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  return {
    pid: child.pid!,
    ask: (request) =>
      new Promise((resolve, reject) => {
        child.once("message", (reply: Reply<Answer>) =>
          "error" in reply ? reject(new Error(`${file}: ${reply.error}`)) : resolve(reply.answer),
        );
        void exited.then(() => reject(new Error(`${file} ended with code ${child.exitCode}`)));
        child.send(request as object);
      }),
    async stop() {
      child.disconnect();
      await exited;
    },
  };
}

/** The other side: answers each request, and ends with its parent. */
export function serveParent(answer: (request: never) => Promise<unknown>): void {
  const reply = (message: Reply<unknown>): void => void process.send?.(message);
  process.on("message", (request) => {
    answer(request as never).then(
      (value) => reply({ answer: value }),
      (error: unknown) => reply({ error: String(error) }),
    );
  });
  process.once("disconnect", () => process.exit());
}
