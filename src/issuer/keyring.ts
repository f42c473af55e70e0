// Signs by one key a profile and publishes the public halves, each set where its verifiers look and nowhere else.
// Private keys do not leave this file's closure.

import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import type { JSONWebKeySet, JWK } from 'jose'
import { Material } from '../lib/material.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import type { Claims, Profile, Signer } from '../ports/signer.ts'
import { type Algorithm, type KeyDocument, type ProfileKeys, publicPart, type StoredKey } from './key-document.ts'
import { misfit, typOf } from './profiles/shape.ts'

export interface Keyring extends Signer {
  /** Keys of all profiles but JWT-SVIDs, `use: sig`: what resource servers see, or, of logins, the sources of providers. */
  jwks(): JSONWebKeySet
  /** Keys of JWT-SVIDs, `use: jwt-svid`: what SPIFFE verifiers see. */
  spiffeKeys(): JSONWebKeySet
  /** grows with every change of the keys */
  readonly revision: number
}

/** Of whichever profiles the document has; no other is signed for. */
interface Signed extends Omit<KeyDocument, 'profiles'> {
  readonly profiles: Readonly<Partial<Record<Profile, ProfileKeys>>>
}

/** `sign` throws on claims that do not fit the profile: that is a bug of the caller, never something a user did. */
export async function createKeyring(document: Signed): Promise<Result<Keyring, string>> {
  const active = new Map<Profile, Signing>()
  const entries = Object.entries(document.profiles) as readonly (readonly [Profile, ProfileKeys])[]
  for (const [profile, { active: wanted, keys }] of entries) {
    const stored = keys.find((key) => key.kid === wanted)
    const key = stored === undefined ? undefined : importPrivate(stored)
    if (stored === undefined || key === undefined) return fail(`the active key of \`${profile}\` cannot be used`)
    const { kid, alg } = stored
    active.set(profile, { alg, key, header: part(JSON.stringify({ alg, kid, typ: typOf(profile) })) })
  }
  const jwks = { keys: entries.flatMap(([profile, { keys }]) => (profile === 'JWTSVID' ? [] : published(keys, 'sig'))) }
  const spiffe = { keys: entries.flatMap(([profile, { keys }]) => (profile === 'JWTSVID' ? published(keys, 'jwt-svid') : [])) }

  return ok({
    async sign(profile: Profile, claims: Claims): Promise<Material> {
      const problem = misfit(profile, claims)
      const signing = active.get(profile)
      if (problem !== undefined || signing === undefined) throw new Error(`refused to sign: ${problem ?? 'unknown profile'}`)
      return new Material(compact(signing, claims))
    },
    jwks: () => structuredClone(jwks),
    spiffeKeys: () => structuredClone(spiffe),
    revision: document.revision,
  })
}

interface Signing {
  readonly alg: Algorithm
  readonly key: KeyObject
  /** encoded */
  readonly header: string
}

const part = (text: string): string => Buffer.from(text).toString('base64url')

/** RFC 7515, compact serialization. */
function compact({ header, ...signing }: Signing, claims: Claims): string {
  const input = `${header}.${part(JSON.stringify(claims))}`
  return `${input}.${signatureOf(signing, Buffer.from(input)).toString('base64url')}`
}

/**
 * RFC 7518, sections 3.3 and 3.4: over SHA-256, and of ECDSA the two numbers side by side, not DER. On the calling thread: the way to
 * another one and back, as WebCrypto goes it, costs as much as a signature of ES256.
 */
const signatureOf = ({ alg, key }: Omit<Signing, 'header'>, input: Buffer): Buffer =>
  sign('sha256', input, alg === 'ES256' ? { key, dsaEncoding } : key)

const dsaEncoding = 'ieee-p1363'
/** RFC 7518, section 3.3 */
const leastModulus = 2048

/** A key whose signatures the published half does not verify is none. Without a cause: an import error may print the key. */
function importPrivate({ alg, jwk }: StoredKey): KeyObject | undefined {
  try {
    const key = createPrivateKey({ key: { ...jwk }, format: 'jwk' })
    if (alg === 'RS256' && (key.asymmetricKeyDetails?.modulusLength ?? 0) < leastModulus) return undefined
    const shown = createPublicKey({ key: { ...publicPart(jwk) }, format: 'jwk' })
    const probe = Buffer.from(alg)
    return verify('sha256', probe, { key: shown, dsaEncoding }, signatureOf({ alg, key }, probe)) ? key : undefined
  } catch {
    return undefined
  }
}

function published(keys: readonly StoredKey[], use: 'sig' | 'jwt-svid'): JWK[] {
  return keys.map(({ jwk, kid, alg }) => ({
    ...publicPart(jwk),
    kid,
    use,
    ...(use === 'sig' ? { alg } : {}),
  }))
}
