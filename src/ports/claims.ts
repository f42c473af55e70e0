import type { Result } from '../lib/result.ts'
import type { Order } from './provider.ts'
import type { Claims, IssuerIdentity, StatusRef } from './signer.ts'

/** What a token says: the issuer that says it, and the task and credential that it is about. */
export interface TokenFacts {
  readonly identity: IssuerIdentity
  readonly order: Order
  /** `jti`: never given twice */
  readonly tokenId: string
}

/** Builds the claims of the profiles that a task can hold. A failure is a sentence about a name that the profile cannot carry. */
export interface ClaimsBuilders {
  /** RFC 9068 */
  accessToken(facts: TokenFacts & { readonly status: StatusRef }): Result<Claims, string>
  /** SPIFFE JWT-SVID */
  jwtSvid(facts: TokenFacts): Result<Claims, string>
}
