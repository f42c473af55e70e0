// A call to the API server as a value: who makes it stops there, and the world decides when it lands and what the caller sees.

import type { Answer } from './server.ts'

export interface Call {
  readonly label: string
  readonly run: () => Answer<unknown>
}

export function* send<T>(label: string, run: () => Answer<T>): Generator<Call, Answer<T>, unknown> {
  return (yield { label, run }) as Answer<T>
}
