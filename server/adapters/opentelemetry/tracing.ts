import { context, type SpanContext, SpanKind, SpanStatusCode, trace, TraceFlags } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type SpanProcessor,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import type { Span, Tracing } from "../../ports/tracing.ts";

export interface OpenTelemetryOptions {
  /** `openclaw-ha-gateway`. */
  readonly service: string;
  readonly instance: string;
  readonly version: string;
  /** Part of the traces that begin here, 0 to 1; a caller's decision is followed. Default 1. */
  readonly ratio?: number;
  /** Default: batches over OTLP, to where OTEL_EXPORTER_OTLP_* say. */
  readonly processor?: SpanProcessor;
}

const KINDS = {
  server: SpanKind.SERVER,
  consumer: SpanKind.CONSUMER,
  client: SpanKind.CLIENT,
  internal: SpanKind.INTERNAL,
} as const;

/** Tracing with OpenTelemetry's SDK, without its globals: what is traced is what was handed this value. */
export function openTelemetryTracing(options: OpenTelemetryOptions): Tracing {
  const { service, instance, version, ratio = 1 } = options;
  const root = ratio >= 1 ? new AlwaysOnSampler() : new TraceIdRatioBasedSampler(ratio);
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      "service.name": service,
      "service.instance.id": instance,
      "service.version": version,
    }),
    sampler: new ParentBasedSampler({ root }),
    spanProcessors: [options.processor ?? new BatchSpanProcessor({ exporter: new OTLPTraceExporter() })],
  });
  const tracer = provider.getTracer("openclaw-ha", version);

  return {
    start({ name, kind, parent, attributes, startedAt }) {
      const above = spanContextOf(parent);
      const within = above === null ? context.active() : trace.setSpanContext(context.active(), above);
      const span = tracer.startSpan(
        name,
        {
          kind: KINDS[kind],
          ...(attributes === undefined ? {} : { attributes }),
          ...(startedAt === undefined ? {} : { startTime: startedAt }),
        },
        within,
      );
      const { traceId, spanId, traceFlags } = span.spanContext();
      const started: Span = {
        traceparent: `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`,
        set: (more) => void span.setAttributes(more),
        end(error, endedAt) {
          if (error !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: error });
          span.end(endedAt);
        },
      };
      return started;
    },
    close: () => provider.shutdown().catch(() => undefined),
  };
}

const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$/;

/** Source: W3C Trace Context, 3.2.2; null for what names no span. */
function spanContextOf(traceparent: string | undefined): SpanContext | null {
  const [, traceId = "", spanId = "", flags = ""] = TRACEPARENT.exec(traceparent ?? "") ?? [];
  if (/^0*$/.test(traceId) || /^0*$/.test(spanId) || traceparent?.startsWith("ff") === true) return null;
  const traceFlags = Number.parseInt(flags, 16) & TraceFlags.SAMPLED;
  return { traceId, spanId, traceFlags, isRemote: true };
}
