/** A value that may be logged. Errors go under the key `error` and pass an allow-list serializer. Material has no place here. */
export type LogField = string | number | boolean | undefined | Error | readonly string[]

/** Structured log. The message is a constant; what varies goes into fields. */
export interface Log {
  debug(message: string, fields?: Readonly<Record<string, LogField>>): void
  info(message: string, fields?: Readonly<Record<string, LogField>>): void
  warn(message: string, fields?: Readonly<Record<string, LogField>>): void
  error(message: string, fields?: Readonly<Record<string, LogField>>): void
}
