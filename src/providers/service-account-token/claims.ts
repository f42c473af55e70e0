// Whether a token says what was ordered. Its signature is not looked at: it came from the API server itself.

import { type Duration, seconds } from '../../lib/instant.ts'
import type { Material } from '../../lib/material.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import type { TokenOrder } from '../../ports/anchored.ts'

type Fields = Readonly<Record<string, unknown>>
const fields = (value: unknown): Fields => (typeof value === 'object' && value !== null ? (value as Fields) : {})

export interface Wanted extends TokenOrder {
  /** of the ServiceAccount that the task is bound to */
  readonly serviceAccountUid: string | undefined
}

/** @returns how long it lives (RFC 7519: `exp` less `iat`); a failure is a sentence that repeats nothing of the token */
export function judgeToken(token: Material, wanted: Wanted): Result<Duration, string> {
  const claims = readClaims(token)
  if (claims === undefined) return fail('what the API server gave is no JWT')
  const { anchor, serviceAccount } = wanted
  const bound = fields(claims['kubernetes.io'])
  const [secret, account] = [fields(bound['secret']), fields(bound['serviceaccount'])]
  const other = (what: string): Result<never, string> => fail(`the token that the API server gave is ${what}`)
  if (!sameAudience(claims['aud'], wanted.audience)) return other('for another audience than was asked for')
  if (claims['sub'] !== `system:serviceaccount:${anchor.namespace}:${serviceAccount}`) return other('of another subject')
  if (bound['namespace'] !== anchor.namespace || account['name'] !== serviceAccount) return other('of another ServiceAccount')
  if (wanted.serviceAccountUid !== undefined && account['uid'] !== wanted.serviceAccountUid)
    return other('of a ServiceAccount that replaced the one of this task')
  if (secret['name'] !== anchor.name || secret['uid'] !== anchor.uid) return other('not bound to its anchor, so it could not be ended')
  const [from, until] = [claims['iat'], claims['exp']]
  if (!Number.isSafeInteger(from) || !Number.isSafeInteger(until)) return other('without a known end')
  const life = seconds(Number(until) - Number(from))
  if (life > wanted.life) return other('longer alive than was asked for')
  return life > 0 ? ok(life) : other('dead on arrival')
}

function readClaims(token: Material): Fields | undefined {
  const parts = new TextDecoder().decode(token.reveal()).split('.')
  if (parts.length !== 3) return undefined
  try {
    const claims = JSON.parse(Buffer.from(parts[1] ?? '', 'base64url').toString()) as unknown
    return typeof claims === 'object' && claims !== null ? (claims as Fields) : undefined
  } catch {
    return undefined
  }
}

const sameAudience = (given: unknown, wanted: string): boolean =>
  given === wanted || (Array.isArray(given) && given.length === 1 && given[0] === wanted)
