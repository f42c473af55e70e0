import type { Material } from '../lib/material.ts'

/**
 * Each has its own key; a key signs nothing but its own profile. `Login`: shown to the source of a provider, and to nobody else.
 * `ClientAssertion`: by it the operator is a client of an authorization server.
 */
export type Profile = 'AccessToken' | 'JWTSVID' | 'StatusList' | 'Login' | 'ClientAssertion'

/** A JWT claims set before it is signed. */
export type Claims = Readonly<Record<string, unknown>>

/** Signs claims under a profile's active key; the keyring sets `alg`, `kid` and the profile's `typ`. */
export interface Signer {
  sign(profile: Profile, claims: Claims): Promise<Material>
}

/** A place in a token status list (draft-ietf-oauth-status-list). */
export interface StatusRef {
  readonly uri: string
  readonly index: number
}

/** Gives each token its own place in the current list. Only a leader has one to give. */
export interface StatusAllocator {
  /** Synchronous; `undefined` while this replica may not give any (not leading, or its list is not recorded yet). */
  reserve(): StatusRef | undefined
  /**
   * Whether a first token may still be signed under this place: it is of this replica's present term and never read invalid.
   * Asked as the last step before signing. A renewal does not need it: its place was read as valid before.
   */
  usable(ref: StatusRef): boolean
  /** From now on this place reads invalid, whatever the stores still show. */
  end(ref: StatusRef): void
}

/** The issuer's identity in tokens. */
export interface IssuerIdentity {
  /** `iss`: an https URL without query or fragment */
  readonly url: string
  /** SPIFFE trust domain */
  readonly trustDomain: string
}
