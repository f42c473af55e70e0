// What STS answered, judged before anything of it is believed: whose session it is, and until when it lives. Pure.

import { type Instant, parseTime, plus, seconds, wholeSecond } from '../../lib/instant.ts'
import { Material } from '../../lib/material.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import { at, type Element } from './xml.ts'

export interface Keys {
  readonly accessKeyId: Material
  readonly secretAccessKey: Material
  readonly sessionToken: Material
  readonly expiresAt: Instant
}

export interface Wanted {
  /** the session's whole ARN */
  readonly arn: string
  readonly handle: string
  readonly audience: string
  /** when it is to be dead at the latest */
  readonly until: Instant
  readonly now: Instant
}

/** By so much the clock of STS and this one may differ. */
const clocks = seconds(60)

/** A failure is a sentence. */
export function readSession(result: Element, { arn, handle, audience, until, now }: Wanted): Result<Keys, string> {
  const text = (...path: readonly string[]): string => at(result, ...path)?.text ?? ''
  const fits = (pattern: RegExp, ...path: readonly string[]): string | undefined => {
    const value = text(...path)
    return pattern.test(value) ? value : undefined
  }
  const id = fits(/^[A-Z0-9]{16,128}$/, 'Credentials', 'AccessKeyId')
  const secret = fits(/^[A-Za-z0-9/+=]{16,256}$/, 'Credentials', 'SecretAccessKey')
  const token = fits(/^[\x21-\x7e]{16,16384}$/, 'Credentials', 'SessionToken')
  const expires = fits(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)$/, 'Credentials', 'Expiration')
  const expiresAt = parseTime(expires)
  if (id === undefined || secret === undefined || token === undefined || expiresAt === undefined)
    return fail('its answer holds no credentials of a session')
  if (text('AssumedRoleUser', 'Arn') !== arn || !text('AssumedRoleUser', 'AssumedRoleId').endsWith(`:${handle}`))
    return fail('it answered with a session of somebody else')
  if (at(result, 'Audience') !== undefined && text('Audience') !== audience) return fail('it took the login token for another audience')
  if (expiresAt > plus(until, clocks)) return fail('the session that it gave lives longer than was asked for, or its clock goes wrong')
  if (expiresAt <= now) return fail('the session that it gave is dead on arrival')
  return ok({
    accessKeyId: new Material(id),
    secretAccessKey: new Material(secret),
    sessionToken: new Material(token),
    expiresAt: wholeSecond(expiresAt < until ? expiresAt : until),
  })
}
