// Spans of what is done, for whoever asks where the time went. A span names objects of the cluster and results; never material, a user or
// what a source calls a credential.

export type SpanName =
  /** one pass over one task: the root of its own trace */
  | 'task.pass'
  /** gathering what is known of a task and asking policy */
  | 'task.judge'
  /** recording an intent before anything is made */
  | 'task.intent'
  /** one credential made, or made anew, by its provider */
  | 'credential.issue'
  | 'credential.renew'
  /** one credential killed: handed to the ledger, or told to its provider */
  | 'credential.revoke'
  | 'secret.write'
  | 'secret.delete'
  | 'status.write'
  | 'task.delete'
  /** one row of the ledger killed at its source: the root of its own trace */
  | 'lease.revoke'

export interface SpanAttributes {
  readonly namespace?: string | undefined
  readonly task?: string | undefined
  readonly taskUid?: string | undefined
  readonly attempt?: number | undefined
  readonly credential?: string | undefined
  readonly provider?: string | undefined
  /** a word of a closed set: what came of it */
  readonly result?: string | undefined
  /** one of the documented reasons */
  readonly reason?: string | undefined
}

export interface Span {
  set(attributes: SpanAttributes): void
  /** It did not do what it was for. */
  failed(reason: string): void
}

export interface Tracer {
  /** Runs `work` in a span, which is a child of the one it is called in; of none where `root` is set. Its failure is the work's failure. */
  span<T>(name: SpanName, attributes: SpanAttributes, work: (span: Span) => Promise<T>, root?: 'root'): Promise<T>
  /** The current span as a `traceparent` header (W3C Trace Context); `undefined` where there is none. */
  traceparent(): string | undefined
}

const silent: Span = { set: () => undefined, failed: () => undefined }

/** Where nobody asked for spans. */
export const noTracer: Tracer = { span: (_name, _attributes, work) => work(silent), traceparent: () => undefined }
