import { describe, expect, test } from '@jest/globals'
import {
  CompactSign,
  createLocalJWKSet,
  decodeJwt,
  generateKeyPair,
  importJWK,
  type JSONWebKeySet,
  jwtVerify,
  SignJWT,
  UnsecuredJWT,
} from 'jose'
import { generateKeyDocument, issuerProfiles, type StoredKey } from '../../../src/issuer/key-document.ts'
import { createKeyring, type Keyring } from '../../../src/issuer/keyring.ts'
import { accessTokenClaims, verifyAccessToken } from '../../../src/issuer/profiles/access-token.ts'
import { clientAssertionClaims } from '../../../src/issuer/profiles/client-assertion.ts'
import { jwtSvidClaims, verifyJwtSvid } from '../../../src/issuer/profiles/jwt-svid.ts'
import { loginClaims } from '../../../src/issuer/profiles/login.ts'
import { statusListClaims, verifyStatusList } from '../../../src/issuer/profiles/status-list.ts'
import { type Instant, plus, seconds } from '../../../src/lib/instant.ts'
import type { Claims, Profile } from '../../../src/ports/signer.ts'
import { audience, identity, makeOrder, start, text } from '../world.ts'

const profiles: readonly Profile[] = [...issuerProfiles, 'Login', 'ClientAssertion']
const uri = 'https://issuer.example/status-lists/00'
const now = plus(start, seconds(10))

const document = await generateKeyDocument(start)
const logins = await generateKeyDocument(start, 'ES256', ['Login'])
const clients = await generateKeyDocument(start, 'ES256', ['ClientAssertion'])
const keys: Readonly<Record<Profile, { readonly keys: readonly StoredKey[] }>> = {
  ...document.profiles,
  ...logins.profiles,
  ...clients.profiles,
}
const made = [await createKeyring(document), await createKeyring(logins), await createKeyring(clients)].map((one) => {
  if (!one.ok) throw new Error(one.failure)
  return one.value
})
const [keyring, loginKeyring, clientKeyring] = made as [Keyring, Keyring, Keyring]
const signerOf = (profile: Profile): Keyring => ({ Login: loginKeyring, ClientAssertion: clientKeyring })[profile as string] ?? keyring
/** The worst that the administrator of an authorization server could call the client. */
const clientId = `${identity.url}/login`
const loginIdentity = { ...identity, url: `${identity.url}/login` }
/** All keys in one set: the worst that a verifier could be given. */
const everything: JSONWebKeySet = {
  keys: [...keyring.jwks().keys, ...keyring.spiffeKeys().keys, ...loginKeyring.jwks().keys, ...clientKeyring.jwks().keys],
}

const facts = { identity, order: makeOrder(), tokenId: 'one' }
const bits = new Uint8Array(16)
function must(result: { ok: true; value: Claims } | { ok: false; failure: string }): Claims {
  if (!result.ok) throw new Error(result.failure)
  return result.value
}
const claims: Readonly<Record<Profile, Claims>> = {
  AccessToken: must(accessTokenClaims({ ...facts, status: { uri, index: 7 } })),
  JWTSVID: must(jwtSvidClaims(facts)),
  StatusList: statusListClaims({ uri, bits, issuedAt: start, expiresAt: plus(start, seconds(60)), ttl: seconds(15) }),
  Login: must(loginClaims({ identity: loginIdentity, order: makeOrder(), audience, tokenId: 'one', now: start })),
  ClientAssertion: must(clientAssertionClaims({ clientId, audience, tokenId: 'one', now: start })),
}
const tokens = Object.fromEntries(
  await Promise.all(profiles.map(async (profile) => [profile, text(await signerOf(profile).sign(profile, claims[profile]))])),
) as Record<Profile, string>

const stock = (token: string, of: Keyring, issuer: string, at: Instant): Promise<{ ok: boolean }> =>
  jwtVerify(token, createLocalJWKSet(of.jwks()), { issuer, audience, currentDate: new Date(at) }).then(
    () => ({ ok: true }),
    () => ({ ok: false }),
  )
const verify: Readonly<Record<Profile, (token: string, at?: Instant) => Promise<{ ok: boolean }>>> = {
  AccessToken: (token, at = now) => verifyAccessToken(token, { keys: everything, issuer: identity.url, audience, now: at }),
  JWTSVID: (token, at = now) => verifyJwtSvid(token, { keys: everything, trustDomain: identity.trustDomain, audience, now: at }),
  StatusList: (token, at = now) => verifyStatusList(token, { keys: everything, uri, now: at }),
  // by the rules of any source that checks JWTs: issuer, audience, and the keys of that profile alone
  Login: (token, at = now) => stock(token, loginKeyring, loginIdentity.url, at),
  ClientAssertion: (token, at = now) => stock(token, clientKeyring, clientId, at),
}

describe('a token of one profile at the verifier of another', () => {
  for (const issued of profiles) {
    for (const verifier of profiles) {
      test(`${issued} at ${verifier} is ${issued === verifier ? 'accepted' : 'refused'}`, async () => {
        expect((await verify[verifier](tokens[issued])).ok).toBe(issued === verifier)
      })
    }
  }

  test('a stock verifier that looks at nothing but issuer and audience accepts only access tokens', async () => {
    const accepted = await Promise.all(
      profiles.map(async (profile) => {
        const keys = createLocalJWKSet(keyring.jwks())
        const options = { issuer: identity.url, audience, currentDate: new Date(now) }
        return jwtVerify(tokens[profile], keys, options).then(
          () => profile,
          () => undefined,
        )
      }),
    )
    expect(accepted.filter(Boolean)).toEqual(['AccessToken'])
  })
})

describe('an obvious forgery', () => {
  for (const profile of issuerProfiles) {
    const stored = keys[profile].keys[0]
    if (stored === undefined) throw new Error('no key')
    const header = {
      alg: 'ES256',
      kid: stored.kid,
      typ: { AccessToken: 'at+jwt', JWTSVID: 'JWT', StatusList: 'statuslist+jwt' }[profile],
    }
    const sign = async (payload: Claims, change: Record<string, unknown> = {}) =>
      new SignJWT({ ...payload }).setProtectedHeader({ ...header, ...change }).sign(await importJWK(stored.jwk, 'ES256'))
    const forgeries: Readonly<Record<string, () => Promise<string>>> = {
      'without a signature': async () => new UnsecuredJWT({ ...claims[profile] }).encode(),
      'with alg none and a kid': async () => {
        const [, payload] = tokens[profile].split('.')
        return `${Buffer.from(JSON.stringify({ ...header, alg: 'none' })).toString('base64url')}.${payload}.`
      },
      'signed by another key under our kid': async () =>
        new SignJWT({ ...claims[profile] }).setProtectedHeader(header).sign((await generateKeyPair('ES256')).privateKey),
      'signed with the public key as an HMAC secret': async () =>
        new CompactSign(new TextEncoder().encode(JSON.stringify(claims[profile])))
          .setProtectedHeader({ ...header, alg: 'HS256' })
          .sign(new TextEncoder().encode(JSON.stringify(everything.keys[0]))),
      'that brings its own key': async () => {
        const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
        const jwk = await (await import('jose')).exportJWK(publicKey)
        return new SignJWT({ ...claims[profile] }).setProtectedHeader({ ...header, jwk }).sign(privateKey)
      },
      'that says where its key is': () => sign(claims[profile], { jku: 'https://evil.example/keys' }),
      'without a kid': () => sign(claims[profile], { kid: undefined }),
      'with a kid that nobody has': () => sign(claims[profile], { kid: 'nobody' }),
      'of another type': () => sign(claims[profile], { typ: 'secevent+jwt' }),
      'of the same type, spelled out': () => sign(claims[profile], { typ: `application/${header.typ}` }),
      'for somebody else': () => sign({ ...claims[profile], aud: 'https://other.example', sub: 'https://other.example' }),
      'that never expires': () => sign({ ...claims[profile], exp: undefined }),
      'with five parts': async () => `${tokens[profile]}.a.b`,
      'of a megabyte': async () => tokens[profile] + 'A'.repeat(1 << 20),
    }
    test.each(Object.keys(forgeries))(`of ${profile} %s is refused`, async (name) => {
      const token = (await forgeries[name]?.()) ?? ''
      expect(token).not.toBe('')
      expect((await verify[profile](token)).ok).toBe(false)
    })
    test(`of ${profile} by its age is refused`, async () => {
      expect((await verify[profile](tokens[profile], plus(start, seconds(601)))).ok).toBe(false)
    })
  }

  test('an access token for two audiences is refused', async () => {
    const token = text(await keyring.sign('AccessToken', { ...claims.AccessToken, aud: [audience, 'https://other.example'] }))
    expect((await verify.AccessToken(token)).ok).toBe(false)
  })
  test('a client assertion for two audiences, for none that is a string, or of another issuer than its client is not signed', async () => {
    for (const change of [{ aud: [audience, 'https://other.example'] }, { aud: [audience] }, { iss: identity.url }])
      await expect(clientKeyring.sign('ClientAssertion', { ...claims.ClientAssertion, ...change })).rejects.toThrow('one audience')
    expect(typeof decodeJwt(tokens.ClientAssertion).aud).toBe('string')
  })
  test('a JWT-SVID for two audiences is refused', async () => {
    const token = text(await keyring.sign('JWTSVID', { ...claims.JWTSVID, aud: [audience, 'https://other.example'] }))
    expect((await verify.JWTSVID(token)).ok).toBe(false)
  })
  test('a JWT-SVID of another trust domain is refused', async () => {
    const token = text(await keyring.sign('JWTSVID', { ...claims.JWTSVID, sub: 'spiffe://corp.example.evil/ns/finance' }))
    expect((await verify.JWTSVID(token)).ok).toBe(false)
  })
  test('a token of a megabyte is refused before anything of it is read', async () => {
    expect(await verify.AccessToken(tokens.AccessToken + 'A'.repeat(1 << 20))).toEqual({ ok: false, failure: 'the token is too long' })
  })
  test('an access token without a place in a status list is refused', async () => {
    const token = text(await keyring.sign('AccessToken', { ...claims.AccessToken, status: {} }))
    expect((await verify.AccessToken(token)).ok).toBe(false)
  })
})

describe('names that a SPIFFE ID cannot carry', () => {
  test.each(['', '.', '..', 'a/b', 'a b', 'ä', 'a%2fb', 'a\n', 'x'.repeat(2048)])('make both builders refuse %j', (agent) => {
    const hostile = { ...facts, order: makeOrder({ agent }) }
    expect(jwtSvidClaims(hostile).ok).toBe(false)
    expect(accessTokenClaims({ ...hostile, status: { uri, index: 0 } }).ok).toBe(false)
  })
})

describe('a status list', () => {
  test('counts its places from the lowest bit of the first byte and refuses those outside', async () => {
    const marked = new Uint8Array([0b0000_0010, 0b1000_0000])
    const list = statusListClaims({ uri, bits: marked, issuedAt: start, expiresAt: plus(start, seconds(60)), ttl: seconds(15) })
    const verified = await verifyStatusList(text(await keyring.sign('StatusList', list)), { keys: keyring.jwks(), uri, now })
    if (!verified.ok) throw new Error(verified.failure)
    expect([0, 1, 2, 14, 15].map((index) => verified.value.valid(index))).toEqual([true, false, true, true, false])
    expect([16, -1, 1.5, Number.NaN, 2 ** 32, 2 ** 40].map((index) => verified.value.valid(index))).toEqual(Array(6).fill(undefined))
  })

  test('reads the example of the draft: 16 places as b9 a3', async () => {
    const list = { ...claims.StatusList, status_list: { bits: 1, lst: 'eNrbuRgAAhcBXQ' } }
    const verified = await verifyStatusList(text(await keyring.sign('StatusList', list)), { keys: keyring.jwks(), uri, now })
    if (!verified.ok) throw new Error(verified.failure)
    const invalid = Array.from({ length: 16 }, (_, index) => (verified.value.valid(index) ? 0 : 1))
    expect(invalid).toEqual([1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1])
  })

  test('that unpacks to more than a list can be is refused', async () => {
    const bomb = (await import('node:zlib')).deflateSync(Buffer.alloc(8 << 20)).toString('base64url')
    const token = text(await keyring.sign('StatusList', { ...claims.StatusList, status_list: { bits: 1, lst: bomb } }))
    expect((await verify.StatusList(token)).ok).toBe(false)
  })
})
