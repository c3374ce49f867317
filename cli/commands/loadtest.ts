import { Command, InvalidArgumentError } from "commander";
import { DEFAULT_PROFILE, PROFILES } from "../../loadtest/profiles.ts";
import type { CliContext } from "../context.ts";
import { parseDurationMs, parseInteger } from "../duration.ts";
import type { LoadTestFlags } from "../loadtest/load-test.ts";

/** Sockets of one address to another: fewer than there are ports. */
const CLIENTS_MAX = 20_000;

export const loadtestCommand = (context: CliContext): Command =>
  new Command("loadtest")
    .description("drive a deployment with k6 and judge it by its promises")
    .argument("[profile]", "which load (see below)", DEFAULT_PROFILE)
    .option("--duration <time>", "of the load; its stages keep their proportions", parseLoadDuration)
    .option("--rate <n>", "messages per second in the normal phase; all stages follow", parseRate)
    .option("--vus <n>", "clients, each with a connection of its own", parseInteger(1, CLIENTS_MAX))
    .option(
      "--report <dir>",
      "where report.html and result.json go (default: loadtest/ in the data directory)",
    )
    .option("--baseline <file>", "a result.json to compare with (default: the last run of the profile)")
    .option("--url <url>", "a gateway that was not started here, ws:// or wss://")
    .option("--token-file <file>", "its token; for several tenants one a line")
    .option("--install", "build k6 into the cache of this checkout if it is missing (needs Go)")
    .addHelpText("after", () => HELP)
    .action(async (profile: string, flags: LoadTestFlags) => {
      const { loadTest } = await import("../loadtest/load-test.ts");
      await loadTest(context, profile, flags);
    });

const NAME_WIDTH = Math.max(...PROFILES.map(({ name }) => name.length)) + 2;

const HELP = `
Profiles:
${PROFILES.map(({ name, claim }) => `  ${name.padEnd(NAME_WIDTH)}${claim}`).join("\n")}

Messages are written for the built-in demo model, so that the time of an answer is known; a deployment with a real one
is refused. A profile with several tenants adds tenants load-1, load-2, … to the deployment where they are missing.
Exit code 1 when a promise was not kept, which is named. Ctrl-C ends the load and leaves no result.

Examples:
  openclaw-ha loadtest                            a quick look whether everything works
  openclaw-ha loadtest burst --rate 20            more of everything: the users' part still grows tenfold
  openclaw-ha loadtest steady --json --baseline before/result.json
  openclaw-ha loadtest steady --url wss://gateway.example --token-file token`;

function parseRate(text: string): number {
  const rate = Number(text);
  if (text.trim() !== "" && Number.isFinite(rate) && rate > 0 && rate <= 100_000) return rate;
  throw new InvalidArgumentError("Expected a number of messages per second above 0.");
}

/** A second is the grain of everything that is reported. */
const DURATION_MIN_MS = 5_000;

function parseLoadDuration(text: string): number {
  const ms = parseDurationMs(text);
  if (ms >= DURATION_MIN_MS) return ms;
  throw new InvalidArgumentError("Expected at least 5s.");
}
