// Token status lists as JWTs (draft-ietf-oauth-status-list): one bit a token, 0 valid, 1 invalid. Builds and verifies; signs nothing.

import { deflateSync, inflateSync } from 'node:zlib'
import type { JSONWebKeySet } from 'jose'
import { type Duration, type Instant, seconds, toSeconds } from '../../lib/instant.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import type { Claims } from '../../ports/signer.ts'
import { fromNumericDate, numericDate } from './numeric-date.ts'
import { verifyProfile } from './verify.ts'

export interface StatusListFacts {
  readonly uri: string
  /** eight places a byte, the lowest bit first */
  readonly bits: Uint8Array
  readonly issuedAt: Instant
  readonly expiresAt: Instant
  /** how long a verifier may keep it */
  readonly ttl: Duration
}

export function statusListClaims(facts: StatusListFacts): Claims {
  return {
    sub: facts.uri,
    iat: numericDate(facts.issuedAt),
    exp: numericDate(facts.expiresAt),
    ttl: toSeconds(facts.ttl),
    status_list: { bits: 1, lst: deflateSync(facts.bits, { level: 9 }).toString('base64url') },
  }
}

export interface StatusListRules {
  readonly keys: JSONWebKeySet
  /** the `uri` of the token whose status is asked for */
  readonly uri: string
  readonly now: Instant
}

export interface VerifiedList {
  readonly issuedAt: Instant
  readonly expiresAt: Instant
  readonly ttl: Duration
  /** `undefined` when the index is outside of the list, which is to be refused */
  valid(index: number): boolean | undefined
}

const maxInflated = 1 << 20

/** Verifies a status list token for one URI. */
export async function verifyStatusList(token: string, rules: StatusListRules): Promise<Result<VerifiedList, string>> {
  const verified = await verifyProfile('StatusList', token, { ...rules, requiredClaims: ['sub', 'iat', 'exp', 'ttl', 'status_list'] })
  if (!verified.ok) return verified
  const { sub, iat, exp } = verified.value
  if (sub !== rules.uri) return fail('the list is another one')
  const list = verified.value['status_list'] as { bits?: unknown; lst?: unknown }
  const ttl = verified.value['ttl']
  if (list.bits !== 1 || typeof list.lst !== 'string' || typeof ttl !== 'number' || iat === undefined || exp === undefined) {
    return fail('the list is not one of ours')
  }
  const bits = inflate(list.lst)
  if (bits === undefined) return fail('the list cannot be unpacked')
  return ok({
    issuedAt: fromNumericDate(iat),
    expiresAt: fromNumericDate(exp),
    ttl: seconds(ttl),
    valid: (index) => {
      if (!Number.isSafeInteger(index) || index < 0 || index >= bits.length * 8) return undefined
      return (((bits[index >> 3] ?? 0xff) >> (index & 7)) & 1) === 0
    },
  })
}

function inflate(lst: string): Uint8Array | undefined {
  try {
    return inflateSync(Buffer.from(lst, 'base64url'), { maxOutputLength: maxInflated })
  } catch {
    return undefined
  }
}
