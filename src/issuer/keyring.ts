// Signs by one key a profile and publishes the public halves, each set where its verifiers look and nowhere else.
// Private keys do not leave this file's closure.

import { type CryptoKey, importJWK, type JSONWebKeySet, type JWK, SignJWT } from 'jose'
import { Material } from '../lib/material.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import type { Claims, Profile, Signer } from '../ports/signer.ts'
import { type KeyDocument, profiles, publicPart, type StoredKey } from './key-document.ts'
import { misfit, typOf } from './profiles/shape.ts'

export interface Keyring extends Signer {
  /** Keys of access tokens and status lists, `use: sig`: what resource servers see. */
  jwks(): JSONWebKeySet
  /** Keys of JWT-SVIDs, `use: jwt-svid`: what SPIFFE verifiers see. */
  spiffeKeys(): JSONWebKeySet
  /** grows with every change of the keys */
  readonly revision: number
}

/** `sign` throws on claims that do not fit the profile: that is a bug of the caller, never something a user did. */
export async function createKeyring(document: KeyDocument): Promise<Result<Keyring, string>> {
  const active = new Map<Profile, { readonly stored: StoredKey; readonly key: CryptoKey }>()
  for (const profile of profiles) {
    const { active: kid, keys } = document.profiles[profile]
    const stored = keys.find((key) => key.kid === kid)
    const key = stored === undefined ? undefined : await importPrivate(stored)
    if (stored === undefined || key === undefined) return fail(`the active key of \`${profile}\` cannot be used`)
    active.set(profile, { stored, key })
  }
  const jwks = { keys: [...published(document, 'AccessToken', 'sig'), ...published(document, 'StatusList', 'sig')] }
  const spiffe = { keys: published(document, 'JWTSVID', 'jwt-svid') }

  return ok({
    async sign(profile: Profile, claims: Claims): Promise<Material> {
      const problem = misfit(profile, claims)
      const signing = active.get(profile)
      if (problem !== undefined || signing === undefined) throw new Error(`refused to sign: ${problem ?? 'unknown profile'}`)
      const { kid, alg } = signing.stored
      return new Material(await new SignJWT({ ...claims }).setProtectedHeader({ alg, kid, typ: typOf(profile) }).sign(signing.key))
    },
    jwks: () => structuredClone(jwks),
    spiffeKeys: () => structuredClone(spiffe),
    revision: document.revision,
  })
}

/** Without a cause: an import error may print the key. */
async function importPrivate(stored: StoredKey): Promise<CryptoKey | undefined> {
  try {
    return (await importJWK(stored.jwk, stored.alg)) as CryptoKey
  } catch {
    return undefined
  }
}

function published(document: KeyDocument, profile: Profile, use: 'sig' | 'jwt-svid'): JWK[] {
  return document.profiles[profile].keys.map(({ jwk, kid, alg }) => ({
    ...publicPart(jwk),
    kid,
    use,
    ...(use === 'sig' ? { alg } : {}),
  }))
}
