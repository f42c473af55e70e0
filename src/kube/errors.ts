// What can come back from the API server other than the answer: tagged, so that callers switch instead of matching texts.
// Nothing here holds a request's body or headers, so an error can always be logged.

import type { IncomingHttpHeaders } from 'node:http2'

/** One entry of `details.causes` of a `metav1.Status`. */
export interface Cause {
  readonly reason: string | undefined
  readonly message: string | undefined
  readonly field: string | undefined
}

/** The API server answered, and not with 2xx. */
export interface HttpError {
  readonly kind: 'http'
  readonly status: number
  /** `reason` of the `metav1.Status`, for example `AlreadyExists` */
  readonly reason: string | undefined
  readonly message: string
  readonly causes: readonly Cause[]
  readonly retryAfterSeconds: number | undefined
  readonly sent: true
}

/** No answer. `sent` says whether the request may have been acted on: only `false` is certain. */
export interface TransportError {
  readonly kind: 'timeout' | 'connection' | 'aborted'
  readonly message: string
  readonly sent: boolean
}

export type ApiError = HttpError | TransportError

export function transportError(kind: TransportError['kind'], message: string, sent: boolean): TransportError {
  return { kind, message, sent }
}

/** Reads a `metav1.Status` body; anything else becomes an error of that status with a shortened text. */
export function httpError(status: number, body: unknown, headers: IncomingHttpHeaders = {}): HttpError {
  const fields = record(body)
  const details = record(fields['details'])
  const causes = Array.isArray(details['causes']) ? details['causes'].map(toCause) : []
  return {
    kind: 'http',
    status,
    reason: text(fields['reason']),
    message: text(fields['message']) ?? (typeof body === 'string' && body !== '' ? body.slice(0, 200) : `HTTP status ${status}`),
    causes,
    retryAfterSeconds: parseRetryAfter(headers['retry-after']) ?? wholeSeconds(details['retryAfterSeconds']),
    sent: true,
  }
}

/** One line for logs and conditions. */
export function describeError(error: ApiError): string {
  return error.kind === 'http'
    ? `${error.status} ${error.reason ?? ''}: ${error.message}`.replace(' :', ':')
    : `${error.kind}: ${error.message}`
}

const hasStatus = (error: ApiError, status: number): boolean => error.kind === 'http' && error.status === status

export const isNotFound = (error: ApiError): boolean => hasStatus(error, 404)
export const isForbidden = (error: ApiError): boolean => hasStatus(error, 403)
/** The object exists: a POST of a name that is taken. */
export const isAlreadyExists = (error: ApiError): boolean =>
  hasStatus(error, 409) && error.kind === 'http' && error.reason === 'AlreadyExists'
/** A compare-and-set was lost, or a precondition did not hold. Not a name that is taken. */
export const isConflict = (error: ApiError): boolean => hasStatus(error, 409) && !isAlreadyExists(error)
/** The resourceVersion or continue token is too old: `Expired` or `Gone`. */
export const isGone = (error: ApiError): boolean =>
  hasStatus(error, 410) || (error.kind === 'http' && (error.reason === 'Expired' || error.reason === 'Gone'))
/** The write was refused because the namespace is being deleted, which is an ending and not an error. */
export const isNamespaceTerminating = (error: ApiError): boolean =>
  isForbidden(error) && error.kind === 'http' && error.causes.some((cause) => cause.reason === 'NamespaceTerminating')
/** A read at a resourceVersion that this API server has not reached (after a restore from a backup, it never may). */
export const isVersionTooLarge = (error: ApiError): boolean =>
  error.kind === 'http' && error.causes.some((cause) => cause.reason === 'ResourceVersionTooLarge')
/** The request may have been acted on although no answer came: whoever wrote must look before writing again. */
export const isAmbiguous = (error: ApiError): boolean => (error.kind === 'http' ? error.status >= 500 : error.sent)

/** Seconds, or an HTTP date that is read as `undefined`: the API server sends seconds. */
function parseRetryAfter(value: string | undefined): number | undefined {
  return value !== undefined && /^\d{1,6}$/.test(value.trim()) ? Number(value) : undefined
}

function wholeSeconds(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 ? value : undefined
}

function toCause(value: unknown): Cause {
  const fields = record(value)
  return { reason: text(fields['reason']), message: text(fields['message']), field: text(fields['field']) }
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
