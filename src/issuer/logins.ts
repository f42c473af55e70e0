// Signs login tokens. Their issuer is a path below that of the tasks' tokens, with keys of its own: whoever trusts the one cannot take the
// other for it, however little it checks.

import type { Material } from '../lib/material.ts'
import { ok, type Result } from '../lib/result.ts'
import type { Clock } from '../ports/clock.ts'
import type { Entropy } from '../ports/entropy.ts'
import type { Logins } from '../ports/login.ts'
import type { IssuerIdentity, Signer } from '../ports/signer.ts'
import { type LoginFacts, loginClaims } from './profiles/login.ts'

/** The issuer of logins, below that of the tasks' tokens. */
export const loginIdentity = ({ url, trustDomain }: IssuerIdentity): IssuerIdentity => ({ url: `${url}/login`, trustDomain })

export interface LoginsDeps {
  /** of the keys of logins */
  readonly signer: Signer
  /** of the tasks' tokens */
  readonly identity: IssuerIdentity
  readonly clock: Pick<Clock, 'now'>
  readonly entropy: Pick<Entropy, 'uuid'>
}

export function createLogins({ signer, identity, clock, entropy }: LoginsDeps): Logins {
  async function login(audience: string, of: Pick<LoginFacts, 'order' | 'handle' | 'tags'>): Promise<Result<Material, string>> {
    const facts = { identity: loginIdentity(identity), audience, tokenId: entropy.uuid(), now: clock.now(), ...of }
    const claims = loginClaims(facts)
    return claims.ok ? ok(await signer.sign('Login', claims.value)) : claims
  }
  return {
    task: (order, audience, handle, tags) =>
      login(audience, { order, ...(handle === undefined ? {} : { handle }), ...(tags === undefined ? {} : { tags }) }),
    operator: (audience) => login(audience, {}),
  }
}
