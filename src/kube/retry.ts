// Which failed requests the client itself sends again, and when. Only those that were surely not acted on, or that only read.
// Everything else is the caller's to judge: it alone knows whether a second try is harmless.

import { backoff } from '../lib/backoff.ts'
import { type Duration, milliseconds, seconds } from '../lib/instant.ts'
import type { ApiError } from './errors.ts'

const connecting = { first: milliseconds(50), cap: seconds(2) }

/**
 * How long to wait before sending again; `undefined` means: hand the failure to the caller.
 * @param attempt tries so far, 1 after the first
 * @param unit a random number in [0, 1)
 */
export function retryDelay(error: ApiError, method: string, attempt: number, unit: number): Duration | undefined {
  const reads = method === 'GET'
  if (error.kind === 'http') {
    const asked = error.retryAfterSeconds
    // API priority and fairness answers 429 before anything is done
    if (error.status === 429 && attempt <= 5) return spread(asked ?? 1, unit)
    if (error.status === 503 && asked !== undefined && reads && attempt <= 3) return spread(asked, unit)
    return undefined
  }
  if (error.kind !== 'connection') return undefined
  if (!error.sent && attempt <= 5) return backoff(connecting, attempt, unit)
  if (reads && attempt <= 2) return backoff(connecting, attempt, unit)
  return undefined
}

/** Never earlier than asked, and up to a quarter later, so that many do not come back at once. */
function spread(wholeSeconds: number, unit: number): Duration {
  return milliseconds(Math.max(wholeSeconds, 0.1) * 1000 * (1 + unit / 4))
}
