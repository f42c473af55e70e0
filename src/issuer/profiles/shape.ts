// What makes a claims set one of a profile: the header's `typ`, the claims that must be there and those that must not.
// The keyring signs nothing that does not fit, so that a builder's mistake cannot make a token that passes elsewhere.

import type { Claims, Profile } from '../../ports/signer.ts'

interface Shape {
  readonly typ: string
  readonly required: readonly string[]
  readonly forbidden: readonly string[]
}

const shapes: Readonly<Record<Profile, Shape>> = {
  AccessToken: {
    typ: 'at+jwt',
    required: ['iss', 'sub', 'aud', 'client_id', 'exp', 'iat', 'jti', 'status'],
    forbidden: ['status_list'],
  },
  // Without `iss`: a stock OIDC verifier of our issuer must not take an SVID for an access token.
  JWTSVID: { typ: 'JWT', required: ['sub', 'aud', 'exp', 'iat'], forbidden: ['iss', 'client_id', 'scope', 'status', 'status_list'] },
  // `typ` as sources expect it of whom they let in; its issuer and its keys are no token's of a task
  Login: { typ: 'JWT', required: ['iss', 'sub', 'aud', 'exp', 'iat', 'jti'], forbidden: ['client_id', 'scope', 'status', 'status_list'] },
  // RFC 7523bis; its key is no other token's, since who is a client is named by whoever runs the authorization server
  ClientAssertion: {
    typ: 'client-authentication+jwt',
    required: ['iss', 'sub', 'aud', 'exp', 'iat', 'jti'],
    forbidden: ['client_id', 'scope', 'status', 'status_list', 'taskbound'],
  },
  StatusList: { typ: 'statuslist+jwt', required: ['sub', 'iat', 'exp', 'ttl', 'status_list'], forbidden: ['aud', 'client_id', 'scope'] },
}

/** The `typ` header of a profile. */
export const typOf = (profile: Profile): string => shapes[profile].typ

/** Why a claims set is not one of this profile, or `undefined` when it is. Names claims, never their values. */
export function misfit(profile: Profile, claims: Claims): string | undefined {
  const shape = shapes[profile]
  const missing = shape.required.filter((name) => claims[name] === undefined)
  if (missing.length > 0) return `\`${profile}\` lacks ${missing.join(', ')}`
  const foreign = shape.forbidden.filter((name) => claims[name] !== undefined)
  if (foreign.length > 0) return `\`${profile}\` must not carry ${foreign.join(', ')}`
  if (profile === 'JWTSVID' && !String(claims['sub']).startsWith('spiffe://')) return '`JWTSVID` needs a SPIFFE ID as its subject'
  if (profile === 'ClientAssertion' && (claims['iss'] !== claims['sub'] || typeof claims['aud'] !== 'string'))
    return '`ClientAssertion` needs one audience, and an issuer that is its subject'
  return undefined
}
