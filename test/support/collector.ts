// A collector of OpenTelemetry for tests: takes what is posted over HTTP and decodes it (OTLP, JSON).

import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { listening } from './listening.ts'

export interface SeenSpan {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  /** of its parent; `undefined` for a root */
  readonly parent: string | undefined
  readonly failed: boolean
  readonly attributes: Readonly<Record<string, string | number>>
  /** milliseconds */
  readonly took: number
}

export interface Collector {
  readonly url: string
  /** what it answers from now on */
  answer(status: number): void
  spans(): readonly SeenSpan[]
  /** attributes of whoever sent */
  resource(): Readonly<Record<string, string | number>>
  /** all that came, as it came */
  bytes(): string
  posts(): readonly { readonly path: string; readonly headers: IncomingHttpHeaders }[]
  close(): Promise<void>
}

interface Value {
  readonly stringValue?: string
  readonly intValue?: string | number
  readonly doubleValue?: number
}
type Attributes = readonly { readonly key: string; readonly value: Value }[]
interface Body {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: Attributes }
    readonly scopeSpans: readonly {
      readonly spans: readonly {
        readonly name: string
        readonly traceId: string
        readonly spanId: string
        readonly parentSpanId?: string
        readonly startTimeUnixNano: string
        readonly endTimeUnixNano: string
        readonly status: { readonly code?: number }
        readonly attributes: Attributes
      }[]
    }[]
  }[]
}

const plain = (attributes: Attributes): Readonly<Record<string, string | number>> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue ?? Number(value.intValue ?? value.doubleValue)]))

export async function startCollector(): Promise<Collector> {
  const texts: string[] = []
  const posts: { path: string; headers: IncomingHttpHeaders }[] = []
  let status = 200
  const server = createServer(async (request, response) => {
    let text = ''
    for await (const chunk of request.setEncoding('utf8')) text += chunk
    posts.push({ path: request.url ?? '', headers: request.headers })
    if (status === 200) texts.push(text)
    response.writeHead(status, { 'content-type': 'application/json' }).end('{}')
  })
  const all = () => texts.flatMap((text) => (JSON.parse(text) as Body).resourceSpans)
  return {
    url: `http://127.0.0.1:${await listening(server)}`,
    answer(next) {
      status = next
    },
    spans: () =>
      all().flatMap(({ scopeSpans }) =>
        scopeSpans.flatMap(({ spans }) =>
          spans.map((span) => ({
            name: span.name,
            traceId: span.traceId,
            spanId: span.spanId,
            parent: span.parentSpanId === '' ? undefined : span.parentSpanId,
            failed: span.status.code === 2,
            attributes: plain(span.attributes),
            took: Number(BigInt(span.endTimeUnixNano) - BigInt(span.startTimeUnixNano)) / 1e6,
          })),
        ),
      ),
    resource: () => plain(all()[0]?.resource.attributes ?? []),
    bytes: () => texts.join('\n'),
    posts: () => posts,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
