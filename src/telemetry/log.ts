// The log: one JSON object a line, by pino. Errors pass an allow-list, every text passes `redact`, and what is neither text,
// number, boolean nor error is named by its type only. It must never print an object that it does not know.

import { type DestinationStream, destination, pino } from 'pino'
import type { Clock } from '../ports/clock.ts'
import type { Log, LogField } from '../ports/log.ts'
import { describeError, isError, type SafeErrorClass } from './failure.ts'
import { redact } from './redact.ts'

export const logLevels = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof logLevels)[number]

export interface LogOptions {
  readonly level: LogLevel
  readonly clock: Clock
  /** fields of every line, such as the replica and the version */
  readonly base: Readonly<Record<string, string>>
  /** where the lines go: something with `write(line)`; see `openLogStream` */
  readonly stream: DestinationStream
  /** classes of errors whose message may be printed */
  readonly safeErrors: readonly SafeErrorClass[]
}

/** Where log lines are written without waiting for the reader. */
export interface LogStream extends DestinationStream {
  /** Writes what is still buffered, before the process ends. */
  flush(): void
}

/** Lines that the reader did not take; the oldest stay and newer ones are lost beyond this many bytes. */
const mostBuffered = 8 * 1024 * 1024

/** @param fd 2, standard error, in the operator: standard output is left to the audit stream */
export function openLogStream(fd: number): LogStream {
  // while running it waits for a slow reader in the background; at the end, which blocks, only for a second (10 tries)
  let tries = Number.POSITIVE_INFINITY
  const stream = destination({ fd, sync: false, maxLength: mostBuffered, retryEAGAIN: () => tries-- > 0 })
  // a reader that went away must not end the process
  stream.on('error', () => undefined)
  return {
    write: (line) => {
      stream.write(line)
    },
    flush: () => {
      try {
        tries = 10
        stream.flushSync()
      } catch {
        // nothing can be told about it: this is where one would tell
      }
    },
  }
}

/** Names that the line itself uses; a field of that name gets a suffix, because a key twice is one that a reader loses. */
const taken = new Set(['time', 'level', 'msg'])

export function createLog(options: LogOptions): Log {
  const { clock, safeErrors } = options
  const clean = (value: unknown): unknown => {
    if (typeof value === 'string') return redact(value)
    if (typeof value === 'number' || typeof value === 'boolean' || value === undefined) return value
    if (isError(value)) return describeError(value, safeErrors)
    if (Array.isArray(value)) return value.map((item) => (typeof item === 'string' ? redact(item) : `[${typeof item}]`))
    return `[${typeof value}]`
  }
  const reserved = new Set([...taken, ...Object.keys(options.base)])
  const logger = pino(
    {
      level: options.level,
      base: { ...options.base },
      timestamp: () => `,"time":"${new Date(clock.now()).toISOString()}"`,
      // pino's own serializer copies every property of an error; ours ran before, in `formatters.log`
      serializers: { err: (value: unknown) => value },
      errorKey: 'error',
      formatters: {
        level: (label) => ({ level: label }),
        log: (fields) =>
          Object.fromEntries(Object.entries(fields).map(([key, value]) => [reserved.has(key) ? `${key}_` : key, clean(value)])),
      },
    },
    options.stream,
  )
  const line =
    (level: LogLevel) =>
    (message: string, fields: Readonly<Record<string, LogField>> = {}): void => {
      // an error in the place of the fields would be copied property by property
      logger[level](isError(fields) ? { error: fields } : { ...fields }, redact(message))
    }
  return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') }
}
