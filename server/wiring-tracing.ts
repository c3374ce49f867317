import type { Environment } from "./config.ts";
import { noTracing, type Tracing } from "./ports/tracing.ts";

/** True where the standard variables of OpenTelemetry ask for traces. */
export function wantsTraces(env: Environment): boolean {
  const said = (name: string): string => env[name]?.trim().toLowerCase() ?? "";
  if (said("OTEL_SDK_DISABLED") === "true") return false;
  const exporter = said("OTEL_TRACES_EXPORTER");
  if (exporter !== "") return exporter === "otlp";
  return said("OTEL_EXPORTER_OTLP_ENDPOINT") !== "" || said("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") !== "";
}

/** Part of the traces that begin here which is kept, as OTEL_TRACES_SAMPLER and its argument say. */
export function ratioOf(env: Environment): number {
  const sampler = env["OTEL_TRACES_SAMPLER"]?.trim() ?? "";
  if (sampler.endsWith("always_off")) return 0;
  if (!sampler.endsWith("traceidratio")) return 1;
  const ratio = Number(env["OTEL_TRACES_SAMPLER_ARG"] ?? "1");
  return ratio >= 0 && ratio <= 1 ? ratio : 1;
}

/** Off by default: nothing of OpenTelemetry is loaded then. */
export async function openTracing(
  env: Environment,
  process: { readonly role: string; readonly instance: string; readonly version: string },
): Promise<Tracing> {
  if (!wantsTraces(env)) return noTracing;
  const { openTelemetryTracing } = await import("./adapters/opentelemetry/tracing.ts");
  return openTelemetryTracing({
    service: env["OTEL_SERVICE_NAME"]?.trim() || `openclaw-ha-${process.role}`,
    instance: process.instance,
    version: process.version,
    ratio: ratioOf(env),
  });
}
