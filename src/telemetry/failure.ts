// Turns a thrown error into a flat record by an allow-list. It must never copy a message of a class that is not ours, nor a
// cause, nor any other property: HTTP libraries hang requests, headers and bodies on their errors.

import { isNativeError } from 'node:util/types'
import { redact } from './redact.ts'

/** A class of errors whose messages are written by this project and hold no material. */
export type SafeErrorClass = abstract new (...args: never[]) => Error

/** What is kept of an error. */
export interface ErrorRecord {
  readonly name: string
  readonly code?: string
  readonly status?: number
  readonly reason?: string
  readonly message?: string
  readonly stack?: readonly string[]
}

/** Also an error of another realm, such as a worker's or a test runner's. */
export const isError = (value: unknown): value is Error => isNativeError(value) || value instanceof Error

const frames = 8
const frame = /^\s+at (?:(?:async )?([\w$.<> ]{1,80}(?: \[as [\w$]{1,40}\])?) \()?((?:file:\/\/\/|node:|\/)[^\s()]{1,512}:\d+:\d+)\)?$/

function word(value: unknown, shape: RegExp): string | undefined {
  return typeof value === 'string' && shape.test(value) && redact(value) === value ? value : undefined
}

/** A message that libuv or Node's own net and fs wrote: they name a call, an address or a path, and no content. */
function isSystemError(error: Error): boolean {
  const { code, errno, syscall } = error as NodeJS.ErrnoException
  if (typeof code !== 'string' || !/^E[A-Z0-9]+$/.test(code)) return false
  if (typeof errno !== 'number' || typeof syscall !== 'string') return false
  return error.message.startsWith(`${code}: `) || error.message.startsWith(`${syscall} ${code}`)
}

/** Where it was thrown, without the message that the text of a stack begins with, and without the path of the checkout. */
function whereThrown(error: Error): readonly string[] | undefined {
  const { stack, message } = error
  if (typeof stack !== 'string') return undefined
  const head = message === '' ? /^[\w$. [\]]{1,80}?(?:: )?(?=\n)/.exec(stack) : /^[\w$. [\]]{1,80}?: /.exec(stack)
  // the message was changed after the stack was taken: what is message and what is frame cannot be told apart
  if (head === null || !stack.startsWith(message, head[0].length)) return undefined
  const lines: string[] = []
  for (const line of stack.slice(head[0].length + message.length).split('\n')) {
    const parts = frame.exec(line)
    if (parts === null || lines.length === frames) continue
    const place = (parts[2] ?? '').replace(/^.*\/(?=(?:src|test|node_modules)\/)/, '')
    lines.push(redact(parts[1] === undefined ? place : `${parts[1]} ${place}`))
  }
  return lines.length === 0 ? undefined : lines
}

/** @param safe classes whose `message`, `status` and `reason` are kept; of all others only what is harmless by its form */
export function describeError(error: unknown, safe: readonly SafeErrorClass[]): ErrorRecord {
  try {
    if (!isError(error)) return { name: 'NotAnError' }
    const ours = safe.some((known) => error instanceof known)
    const { code, status, statusCode, reason } = error as Error & Record<'code' | 'status' | 'statusCode' | 'reason', unknown>
    const http = [status, statusCode].find((n) => Number.isInteger(n) && Number(n) >= 100 && Number(n) <= 599)
    const kept = {
      name: word(error.name, /^[A-Za-z][A-Za-z0-9]{0,63}$/) ?? 'Error',
      code: word(code, /^[A-Z0-9][A-Z0-9_]{0,63}$/),
      status: http === undefined ? undefined : Number(http),
      reason: ours ? word(reason, /^[A-Z][A-Za-z0-9]{0,63}$/) : undefined,
      message: ours || isSystemError(error) ? redact(error.message) : undefined,
      stack: whereThrown(error),
    }
    return Object.fromEntries(Object.entries(kept).filter(([, value]) => value !== undefined)) as unknown as ErrorRecord
  } catch {
    // a getter that throws must not turn a log line into a crash
    return { name: 'Error' }
  }
}
