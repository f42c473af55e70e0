// Spans sent to an OpenTelemetry collector over HTTP (OTLP, JSON). Loaded only where somebody asked for it. What leaves is what the table
// below names, cleaned once more; a collector that is slow or away costs spans, never a pass.

import { AsyncLocalStorage } from 'node:async_hooks'
import { type Attributes, type Span as OtelSpan, ROOT_CONTEXT, SpanStatusCode, trace } from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BatchSpanProcessor, type SpanExporter, TracerProvider } from '@opentelemetry/sdk-trace'
import type { Log } from '../ports/log.ts'
import type { SpanAttributes, Tracer } from '../ports/tracer.ts'
import { redact } from './redact.ts'

export interface TracingOptions {
  /** where spans are posted, for example `http://collector:4318/v1/traces` */
  readonly url: string
  readonly version: string
  readonly replica: string
  readonly namespace: string
  readonly log: Pick<Log, 'info' | 'warn'>
  /** milliseconds after which what was collected is sent, 5,000 by default */
  readonly delay?: number
}

export interface Tracing extends Tracer {
  /** Sends what was collected, for at most two seconds, and stops. */
  close(): Promise<void>
}

const names: Readonly<Record<keyof SpanAttributes, string>> = {
  namespace: 'k8s.namespace.name',
  task: 'taskbound.task.name',
  taskUid: 'taskbound.task.uid',
  attempt: 'taskbound.attempt',
  credential: 'taskbound.credential.name',
  provider: 'taskbound.provider.name',
  result: 'taskbound.result',
  reason: 'taskbound.reason',
}

function attributesOf(attributes: SpanAttributes): Attributes {
  const made: Attributes = {}
  for (const [key, name] of Object.entries(names) as [keyof SpanAttributes, string][]) {
    const value = attributes[key]
    if (value !== undefined) made[name] = typeof value === 'string' ? redact(value) : value
  }
  return made
}

/** Tells once that spans are lost, and once that they arrive again. */
function telling(exporter: SpanExporter, log: TracingOptions['log']): SpanExporter {
  let losing = false
  return {
    export(spans, done) {
      exporter.export(spans, (result) => {
        const lost = result.code !== 0
        if (lost && !losing) log.warn('spans cannot be sent and are lost')
        if (!lost && losing) log.info('spans are sent again')
        losing = lost
        done(result)
      })
    },
    shutdown: () => exporter.shutdown(),
  }
}

export function createTracing(options: TracingOptions): Tracing {
  const { version, replica, namespace } = options
  const exporter = telling(new OTLPTraceExporter({ url: options.url, timeoutMillis: 5_000 }), options.log)
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      'service.name': 'taskbound',
      'service.version': version,
      'service.instance.id': replica,
      'k8s.namespace.name': namespace,
    }),
    spanProcessors: [new BatchSpanProcessor({ exporter, maxQueueSize: 4096, scheduledDelayMillis: options.delay ?? 5_000 })],
  })
  const tracer = provider.getTracer('taskbound', version)
  // not the API's own context: that is one for the process, and whoever sets it sets it for everybody
  const current = new AsyncLocalStorage<OtelSpan>()

  return {
    async span(name, attributes, work, root) {
      const parent = root === 'root' ? undefined : current.getStore()
      const context = parent === undefined ? ROOT_CONTEXT : trace.setSpan(ROOT_CONTEXT, parent)
      const span = tracer.startSpan(name, { attributes: attributesOf(attributes) }, context)
      const failed = (reason: string): void => {
        span.setStatus({ code: SpanStatusCode.ERROR }).setAttributes(attributesOf({ reason }))
      }
      try {
        return await current.run(span, work, { set: (more) => void span.setAttributes(attributesOf(more)), failed })
      } catch (error) {
        // a bug, whose text could hold anything
        failed('Unexpected')
        throw error
      } finally {
        span.end()
      }
    },
    traceparent() {
      const span = current.getStore()?.spanContext()
      return span === undefined ? undefined : `00-${span.traceId}-${span.spanId}-0${span.traceFlags & 1}`
    },
    async close() {
      const patience = new Promise<void>((resolve) => setTimeout(resolve, 2_000).unref())
      await Promise.race([provider.shutdown().catch(() => undefined), patience])
    },
  }
}
