import { loggerContract } from "../ports/contract/logger.contract.ts";
import { recordingLogger } from "./recording-logger.ts";

loggerContract("recording", () => {
  const log = recordingLogger();
  return { log, lines: () => log.lines };
});
