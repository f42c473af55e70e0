import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { compactVerify, createLocalJWKSet, decodeProtectedHeader, type JWK } from 'jose'
import {
  formatKeyDocument,
  generateKeyDocument,
  type IssuerProfile,
  type KeyDocument,
  parseKeyDocument,
  issuerProfiles as profiles,
} from '../../src/issuer/key-document.ts'
import { type KeyStore, loadOrCreate } from '../../src/issuer/key-store.ts'
import { createKeyring } from '../../src/issuer/keyring.ts'
import { accessTokenClaims } from '../../src/issuer/profiles/access-token.ts'
import { jwtSvidClaims } from '../../src/issuer/profiles/jwt-svid.ts'
import { loginClaims } from '../../src/issuer/profiles/login.ts'
import { statusListClaims } from '../../src/issuer/profiles/status-list.ts'
import { plus, seconds } from '../../src/lib/instant.ts'
import { Material } from '../../src/lib/material.ts'
import { ok } from '../../src/lib/result.ts'
import type { Claims } from '../../src/ports/signer.ts'
import { identity, makeKeyring, makeOrder, start, text } from './world.ts'

const facts = { identity, order: makeOrder(), tokenId: 'one' }
const status = { uri: 'https://issuer.example/status-lists/0', index: 3 }
const uri = status.uri
const claims: Readonly<Record<IssuerProfile, Claims>> = {
  AccessToken: must(accessTokenClaims({ ...facts, status })),
  JWTSVID: must(jwtSvidClaims(facts)),
  StatusList: statusListClaims({ uri, bits: new Uint8Array(8), issuedAt: start, expiresAt: plus(start, seconds(60)), ttl: seconds(15) }),
}
const login = must(loginClaims({ identity, audience: 'https://vault.example', tokenId: 'one', now: start }))
const typ: Readonly<Record<IssuerProfile, string>> = { AccessToken: 'at+jwt', JWTSVID: 'JWT', StatusList: 'statuslist+jwt' }

function must<T>(result: { ok: true; value: T } | { ok: false; failure: unknown }): T {
  if (!result.ok) throw new Error(JSON.stringify(result.failure))
  return result.value
}

describe('the keyring', () => {
  for (const profile of profiles) {
    test(`signs ${profile} with its own key and no header but alg, kid and typ`, async () => {
      const keyring = await makeKeyring()
      const header = decodeProtectedHeader(text(await keyring.sign(profile, claims[profile])))
      const published = [...keyring.jwks().keys, ...keyring.spiffeKeys().keys].find((key) => key.kid === header.kid)
      expect(header).toEqual({ alg: 'ES256', kid: published?.kid, typ: typ[profile] })
    })
    for (const other of profiles.filter((o) => o !== profile)) {
      test(`refuses to sign the claims of ${other} as ${profile}`, async () => {
        await expect((await makeKeyring()).sign(profile, claims[other])).rejects.toThrow('refused to sign')
      })
    }
  }

  test('publishes the keys of each profile where its verifiers look and nowhere else', async () => {
    const document = await generateKeyDocument(start)
    const keyring = must(await createKeyring(document))
    const kid = (profile: IssuerProfile) => document.profiles[profile].active
    expect(keyring.jwks().keys.map(({ kid, use }) => [kid, use])).toEqual([
      [kid('AccessToken'), 'sig'],
      [kid('StatusList'), 'sig'],
    ])
    expect(keyring.spiffeKeys().keys.map(({ kid, use }) => [kid, use])).toEqual([[kid('JWTSVID'), 'jwt-svid']])
  })

  test('signs nothing of a profile whose keys are in another document', async () => {
    const logins = must(await createKeyring(await generateKeyDocument(start, 'ES256', ['Login'])))
    await expect(logins.sign('AccessToken', claims.AccessToken)).rejects.toThrow('refused to sign')
    await expect((await makeKeyring()).sign('Login', login)).rejects.toThrow('refused to sign')
    expect(decodeProtectedHeader(text(await logins.sign('Login', login)))).toEqual({
      alg: 'ES256',
      kid: logins.jwks().keys[0]?.kid,
      typ: 'JWT',
    })
    expect([logins.jwks().keys.length, logins.spiffeKeys().keys.length]).toEqual([1, 0])
    const document = await generateKeyDocument(start)
    expect(await parseKeyDocument(formatKeyDocument(document), ['Login'])).toMatchObject({ ok: false })
  })

  test.each(['ES256', 'RS256'] as const)('publishes no private member of a key of %s', async (alg) => {
    const keyring = must(await createKeyring(await generateKeyDocument(start, alg)))
    for (const key of [...keyring.jwks().keys, ...keyring.spiffeKeys().keys]) {
      const allowed = ['kty', 'crv', 'x', 'y', 'n', 'e', 'kid', 'use', 'alg']
      expect(Object.keys(key).filter((member) => !allowed.includes(member))).toEqual([])
    }
    expect(decodeProtectedHeader(text(await keyring.sign('AccessToken', claims.AccessToken))).alg).toBe(alg)
  })

  test.each(['ES256', 'RS256'] as const)('signs with %s what another implementation verifies by the published key', async (alg) => {
    const keyring = must(await createKeyring(await generateKeyDocument(start, alg)))
    for (const [profile, { keys }] of [
      ['AccessToken', keyring.jwks()],
      ['JWTSVID', keyring.spiffeKeys()],
      ['StatusList', keyring.jwks()],
    ] as const) {
      const token = text(await keyring.sign(profile, claims[profile]))
      // `use: jwt-svid` is known to SPIFFE alone
      const verifiers = createLocalJWKSet({ keys: keys.map(({ use: _, ...rest }) => rest) })
      const { payload, protectedHeader } = await compactVerify(token, verifiers)
      expect(protectedHeader).toMatchObject({ alg, typ: typ[profile] })
      expect(JSON.parse(new TextDecoder().decode(payload))).toEqual(claims[profile])
    }
  })

  test.each<[string, (jwk: JWK) => JWK]>([
    ['whose halves do not belong together', (jwk) => ({ ...jwk, d: exported('P-256').d as string })],
    ['without its private half', ({ d: _, ...rest }) => rest],
    ['that is no point', (jwk) => ({ ...jwk, x: jwk.y as string })],
  ])('does not start with a key %s, and does not show it', async (_name, broken) => {
    const document = await generateKeyDocument(start)
    const found = await createKeyring(withActive(document, broken(document.profiles.AccessToken.keys[0]?.jwk as JWK), 'ES256'))
    expect(found).toEqual({ ok: false, failure: 'the active key of `AccessToken` cannot be used' })
  })

  test('does not sign with an RSA key of less than 2048 bits', async () => {
    const short = exported(1024)
    const found = await createKeyring(withActive(await generateKeyDocument(start), short, 'RS256'))
    expect(found).toEqual({ ok: false, failure: 'the active key of `AccessToken` cannot be used' })
  })

  function exported(of: 'P-256' | number): JWK {
    const { privateKey } =
      of === 'P-256' ? generateKeyPairSync('ec', { namedCurve: of }) : generateKeyPairSync('rsa', { modulusLength: of })
    return privateKey.export({ format: 'jwk' }) as JWK
  }
  function withActive(document: KeyDocument, jwk: JWK, alg: 'ES256' | 'RS256'): KeyDocument {
    const { AccessToken: keys } = document.profiles
    const broken = keys.keys.map((key) => ({ ...key, alg, jwk }))
    return { ...document, profiles: { ...document.profiles, AccessToken: { ...keys, keys: broken } } }
  }

  test('publishes prepared and retired keys and signs with neither', async () => {
    const [a, b, c] = await Promise.all([generateKeyDocument(start), generateKeyDocument(start), generateKeyDocument(start)])
    const key = (document: KeyDocument) => document.profiles.AccessToken.keys[0] as KeyDocument['profiles']['AccessToken']['keys'][0]
    const keys = [key(a), { ...key(b), state: 'prepared' as const }, { ...key(c), state: 'retired' as const }]
    const document = { ...a, profiles: { ...a.profiles, AccessToken: { active: key(a).kid, keys } } }
    const keyring = must(await createKeyring(must(await parseKeyDocument(formatKeyDocument(document)))))
    expect(keyring.jwks().keys).toHaveLength(4)
    expect(decodeProtectedHeader(text(await keyring.sign('AccessToken', claims.AccessToken))).kid).toBe(key(a).kid)
  })
})

describe('the key document', () => {
  test('survives being stored', async () => {
    const document = await generateKeyDocument(start)
    expect(must(await parseKeyDocument(formatKeyDocument(document)))).toEqual(document)
  })

  type Break = (document: KeyDocument) => unknown
  const first = (document: KeyDocument) => document.profiles.AccessToken.keys[0] as KeyDocument['profiles']['AccessToken']['keys'][0]
  const withKey = (document: KeyDocument, key: object) => ({
    ...document,
    profiles: { ...document.profiles, AccessToken: { ...document.profiles.AccessToken, keys: [key] } },
  })
  test.each<[string, Break]>([
    ['of another version', (d) => ({ ...d, version: 2 })],
    ['without a profile', (d) => ({ ...d, profiles: { ...d.profiles, StatusList: undefined } })],
    ['with one key under two profiles', (d) => ({ ...d, profiles: { ...d.profiles, JWTSVID: d.profiles.AccessToken } })],
    ['with a key under an id that is not its own', (d) => ({ ...withKey(d, { ...first(d), jwk: d.profiles.JWTSVID.keys[0]?.jwk }) })],
    ['without an active key', (d) => withKey(d, { ...first(d), state: 'retired' })],
    ['with a key that is public only', (d) => withKey(d, { ...first(d), jwk: { ...first(d).jwk, d: undefined } })],
    ['with a key of another algorithm', (d) => withKey(d, { ...first(d), alg: 'RS256' })],
    ['with a symmetric algorithm', (d) => withKey(d, { ...first(d), alg: 'HS256' })],
  ])('is refused %s, without showing any key', async (_name, broken) => {
    const document = await generateKeyDocument(start)
    const parsed = await parseKeyDocument(new Material(JSON.stringify(broken(document))))
    expect(parsed.ok).toBe(false)
    for (const { keys } of Object.values(document.profiles)) expect(JSON.stringify(parsed)).not.toContain(keys[0]?.jwk.d)
  })

  test('is refused when it is not JSON', async () => {
    expect(await parseKeyDocument(new Material('{"d":"secret-scalar'))).toEqual({ ok: false, failure: 'the signing keys are not JSON' })
  })
})

describe('the first start', () => {
  function createStore(): KeyStore & { writes: number } {
    let stored: Material | undefined
    const store = {
      writes: 0,
      read: async () => ok(stored),
      create: async (document: Material) => {
        if (stored !== undefined) return ok('exists' as const)
        stored = document
        store.writes += 1
        return ok('created' as const)
      },
    }
    return store
  }

  test('of two replicas at once ends with the same keys', async () => {
    const store = createStore()
    const [a, b] = await Promise.all([1, 2].map(() => loadOrCreate(store, () => generateKeyDocument(start))))
    expect(a).toEqual(b)
    expect(store.writes).toBe(1)
  })

  test('never replaces a document that it cannot read', async () => {
    const store = createStore()
    await store.create(new Material('garbage'))
    expect((await loadOrCreate(store, () => generateKeyDocument(start))).ok).toBe(false)
    expect(store.writes).toBe(1)
  })
})
