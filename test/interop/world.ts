// Tokens of a running issuer, real and forged, for verifiers that other people wrote.

import { exportJWK, generateKeyPair, importJWK, type JWK, SignJWT } from 'jose'
import { accessTokenClaims } from '../../src/issuer/profiles/access-token.ts'
import { jwtSvidClaims } from '../../src/issuer/profiles/jwt-svid.ts'
import { at, plus, seconds } from '../../src/lib/instant.ts'
import type { Claims, Profile, StatusRef } from '../../src/ports/signer.ts'
import { startIssuer, type TestIssuer } from '../http/oidc/issuer.ts'
import { makeOrder, text } from '../issuer/world.ts'

export interface InteropWorld {
  readonly issuer: TestIssuer
  readonly status: StatusRef
  readonly claims: Readonly<Record<'AccessToken' | 'JWTSVID', Claims>>
  sign(profile: Profile, claims: Claims): Promise<string>
  /** what no verifier may take, by name */
  forgeries(profile: 'AccessToken' | 'JWTSVID'): Promise<Readonly<Record<string, string>>>
}

export async function startWorld(): Promise<InteropWorld> {
  const issuer = await startIssuer()
  const status = issuer.lists.reserve()
  if (status === undefined) throw new Error('no place')
  const now = at(Date.now())
  const order = makeOrder({ issuedAt: now, expiresAt: plus(now, seconds(300)) })
  issuer.lists.observe(order.taskUid, [status])
  const facts = { identity: issuer.identity, order, tokenId: 'one' }
  const claims = { AccessToken: must(accessTokenClaims({ ...facts, status })), JWTSVID: must(jwtSvidClaims(facts)) }
  const sign = async (profile: Profile, what: Claims) => text(await issuer.keyring.sign(profile, what))

  async function forgeries(profile: 'AccessToken' | 'JWTSVID') {
    const [header = '', payload = '', signature = ''] = (await sign(profile, claims[profile])).split('.')
    const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const read = JSON.parse(Buffer.from(header, 'base64url').toString()) as { alg: string; kid: string; typ: string }
    const other = (await generateKeyPair('ES256')).privateKey
    const published = [...issuer.keyring.jwks().keys, ...issuer.keyring.spiffeKeys().keys].find(({ kid }) => kid === read.kid) as JWK
    const secret = await importJWK({ kty: 'oct', k: encode(published) }, 'HS256')
    const own = await generateKeyPair('ES256', { extractable: true })
    const stored = issuer.document.profiles[profile].keys[0]?.jwk as JWK
    const retyped = { ...read, typ: profile === 'JWTSVID' ? 'at+jwt' : 'JWT' }
    const past = Math.floor(Date.now() / 1000) - 3600
    return {
      'for another audience': await sign(profile, { ...claims[profile], aud: ['https://other.example'] }),
      'expired an hour ago': await sign(profile, { ...claims[profile], iat: past - 300, exp: past }),
      'signed by another key': await new SignJWT({ ...claims[profile] }).setProtectedHeader(read).sign(other),
      'with alg none': `${encode({ ...read, alg: 'none' })}.${payload}.`,
      'with the public key as an HMAC secret': await new SignJWT({ ...claims[profile] })
        .setProtectedHeader({ ...read, alg: 'HS256' })
        .sign(secret),
      'that brings its own key': await new SignJWT({ ...claims[profile] })
        .setProtectedHeader({ ...read, kid: 'mine', jwk: await exportJWK(own.publicKey) })
        .sign(own.privateKey),
      'with another payload under the signature': `${header}.${encode({ ...claims[profile], sub: 'spiffe://corp.example/admin' })}.${signature}`,
      'with another type': `${encode({ ...read, typ: 'statuslist+jwt' })}.${payload}.${signature}`,
      'well signed but of another type': await new SignJWT({ ...claims[profile] })
        .setProtectedHeader(retyped)
        .sign(await importJWK(stored, 'ES256')),
      'of another profile': await (profile === 'JWTSVID' ? sign('AccessToken', claims.AccessToken) : sign('JWTSVID', claims.JWTSVID)),
    }
  }

  return { issuer, status, claims, sign, forgeries }
}

function must(result: { ok: true; value: Claims } | { ok: false; failure: string }): Claims {
  if (!result.ok) throw new Error(result.failure)
  return result.value
}
