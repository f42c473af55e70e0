// Signs client assertions, by keys that sign nothing else: whoever trusts them for one client can take no token of ours for it.

import { ok } from '../lib/result.ts'
import type { Clock } from '../ports/clock.ts'
import type { Entropy } from '../ports/entropy.ts'
import type { ClientAssertions } from '../ports/login.ts'
import type { Signer } from '../ports/signer.ts'
import { clientAssertionClaims } from './profiles/client-assertion.ts'

export interface ClientAssertionsDeps {
  /** of the keys of client assertions */
  readonly signer: Signer
  readonly clock: Pick<Clock, 'now'>
  readonly entropy: Pick<Entropy, 'uuid'>
}

export const createClientAssertions = ({ signer, clock, entropy }: ClientAssertionsDeps): ClientAssertions => ({
  async of(clientId, audience) {
    const claims = clientAssertionClaims({ clientId, audience, tokenId: entropy.uuid(), now: clock.now() })
    return claims.ok ? ok(await signer.sign('ClientAssertion', claims.value)) : claims
  },
})
