// The signing keys as data: one document that lives in one Secret of the operator's namespace.
// Parsing refuses a key that stands under two profiles. No failure carries any part of a key.

import { generateKeyPair } from 'node:crypto'
import { promisify } from 'node:util'
import { calculateJwkThumbprint, type JWK } from 'jose'
import { formatTime, type Instant } from '../lib/instant.ts'
import { Material } from '../lib/material.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import type { Profile } from '../ports/signer.ts'

export type Algorithm = 'ES256' | 'RS256'
/** A prepared key is published before its first use; a retired one stays published while what it signed lives. */
export type KeyState = 'prepared' | 'active' | 'retired'

export interface StoredKey {
  /** RFC 7638 thumbprint */
  readonly kid: string
  readonly alg: Algorithm
  /** private */
  readonly jwk: JWK
  readonly state: KeyState
  /** RFC 3339 */
  readonly createdTime: string
}

export interface ProfileKeys {
  /** kid of the key that signs */
  readonly active: string
  readonly keys: readonly StoredKey[]
}

export interface KeyDocument<P extends Profile = IssuerProfile> {
  /** of the format */
  readonly version: 1
  /** grows by one with every change of the keys */
  readonly revision: number
  readonly profiles: Readonly<Record<P, ProfileKeys>>
}

/** What verifiers of tasks' tokens look for; logins have a document of their own. */
export type IssuerProfile = (typeof issuerProfiles)[number]
export const issuerProfiles = ['AccessToken', 'JWTSVID', 'StatusList'] as const satisfies readonly Profile[]
const states: readonly string[] = ['prepared', 'active', 'retired']
const maxKeys = 16
const generate = promisify(generateKeyPair)

/** Makes one active key for each profile. Key material comes from Node's own generator. */
export async function generateKeyDocument<P extends Profile = IssuerProfile>(
  now: Instant,
  alg: Algorithm = 'ES256',
  profiles: readonly P[] = issuerProfiles as readonly Profile[] as readonly P[],
): Promise<KeyDocument<P>> {
  const entries = await Promise.all(
    profiles.map(async (profile) => {
      const key = await generateKey(now, alg)
      return [profile, { active: key.kid, keys: [key] }] as [P, ProfileKeys]
    }),
  )
  return { version: 1, revision: 1, profiles: Object.fromEntries(entries) as Record<P, ProfileKeys> }
}

async function generateKey(now: Instant, alg: Algorithm): Promise<StoredKey> {
  const pair = alg === 'ES256' ? await generate('ec', { namedCurve: 'P-256' }) : await generate('rsa', { modulusLength: 2048 })
  const jwk = pair.privateKey.export({ format: 'jwk' }) as JWK
  return { kid: await calculateJwkThumbprint(publicPart(jwk)), alg, jwk, state: 'active', createdTime: formatTime(now) }
}

/** The members of a key that may be shown: an allow-list, so that no new private member slips through. */
export function publicPart(jwk: JWK): JWK {
  const { kty, crv, x, y, n, e } = jwk
  return JSON.parse(JSON.stringify({ kty, crv, x, y, n, e })) as JWK
}

export const formatKeyDocument = (document: Omit<KeyDocument, 'profiles'>): Material => new Material(JSON.stringify(document))

/** Reads a stored document strictly. The failure names the profile at most. */
export async function parseKeyDocument<P extends Profile = IssuerProfile>(
  text: Material,
  profiles: readonly P[] = issuerProfiles as readonly Profile[] as readonly P[],
): Promise<Result<KeyDocument<P>, string>> {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(text.reveal()))
  } catch {
    return fail('the signing keys are not JSON')
  }
  if (!isRecord(value) || value['version'] !== 1 || !isRecord(value['profiles'])) return fail('the signing keys are not of version 1')
  const revision = value['revision']
  if (!isRevision(revision)) return fail('the signing keys have no revision')
  const seen = new Set<string>()
  const parsed: Partial<Record<P, ProfileKeys>> = {}
  for (const profile of profiles) {
    const keys = readProfile(value['profiles'][profile])
    if (keys === undefined) return fail(`the signing keys of \`${profile}\` cannot be read`)
    for (const key of keys.keys) {
      // The kid is the thumbprint, so one key under two profiles is one kid twice.
      if (seen.has(key.kid)) return fail(`a signing key of \`${profile}\` stands in the document twice`)
      seen.add(key.kid)
      if (key.kid !== (await thumbprint(key.jwk))) return fail(`a signing key of \`${profile}\` does not have the id that it names`)
    }
    parsed[profile] = keys
  }
  return ok({ version: 1, revision, profiles: parsed as Record<P, ProfileKeys> })
}

async function thumbprint(jwk: JWK): Promise<string | undefined> {
  return await calculateJwkThumbprint(publicPart(jwk)).catch(() => undefined)
}

function readProfile(value: unknown): ProfileKeys | undefined {
  if (!isRecord(value) || typeof value['active'] !== 'string' || !Array.isArray(value['keys'])) return undefined
  if (value['keys'].length > maxKeys || !value['keys'].every(isStoredKey)) return undefined
  const active = value['keys'].filter((key) => key.state === 'active')
  return active.length === 1 && active[0]?.kid === value['active'] ? { active: value['active'], keys: value['keys'] } : undefined
}

function isStoredKey(value: unknown): value is StoredKey {
  if (!isRecord(value) || !isRecord(value['jwk'])) return false
  const { kid, alg, state, createdTime, jwk } = value
  const fits = alg === 'ES256' ? jwk['kty'] === 'EC' && jwk['crv'] === 'P-256' : alg === 'RS256' && jwk['kty'] === 'RSA'
  return (
    fits && typeof jwk['d'] === 'string' && typeof kid === 'string' && states.includes(String(state)) && typeof createdTime === 'string'
  )
}

const isRevision = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 1
const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)
