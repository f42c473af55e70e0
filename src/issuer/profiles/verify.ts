// What every profile's verifier does first: one compact JWS under a closed list of algorithms, with no header but the three we write.
// It finds keys only in the set that it is given, never by what the token says.

import { createLocalJWKSet, decodeProtectedHeader, type JSONWebKeySet, type JWTPayload, jwtVerify } from 'jose'
import type { Instant } from '../../lib/instant.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import type { Profile } from '../../ports/signer.ts'
import { typOf } from './shape.ts'

// A full list of 131,072 places is about 30,000 characters; nothing else comes near.
const maxCharacters = 65_536
const headers = ['alg', 'kid', 'typ']

export interface Verification {
  readonly keys: JSONWebKeySet
  readonly now: Instant
  readonly issuer?: string
  readonly audience?: string
  readonly requiredClaims: readonly string[]
}

/** Verifies the signature, the headers and the registered claims. The failure is a sentence without any part of the token. */
export async function verifyProfile(profile: Profile, token: string, how: Verification): Promise<Result<JWTPayload, string>> {
  if (token.length > maxCharacters) return fail('the token is too long')
  try {
    const header = decodeProtectedHeader(token)
    if (Object.keys(header).some((name) => !headers.includes(name))) return fail('the token carries a header that no profile has')
    // Compared here as well: jose would also take `application/at+jwt`, which we never write.
    if (header.typ !== typOf(profile)) return fail('the token is of another type')
    if (header.kid === undefined) return fail('the token does not name its key')
    const verified = await jwtVerify(token, createLocalJWKSet(how.keys), {
      algorithms: ['ES256', 'RS256'],
      typ: typOf(profile),
      currentDate: new Date(how.now),
      requiredClaims: [...how.requiredClaims],
      ...(how.issuer === undefined ? {} : { issuer: how.issuer }),
      ...(how.audience === undefined ? {} : { audience: how.audience }),
    })
    return ok(verified.payload)
  } catch {
    return fail('the token is not valid')
  }
}
