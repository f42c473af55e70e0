import type { Material } from '../lib/material.ts'

/** Each has its own key; a key signs nothing but its own profile. */
export type Profile = 'AccessToken' | 'JWTSVID' | 'StatusList'

/** Signs claims under a profile's active key; the keyring sets `alg`, `kid` and the profile's `typ`. */
export interface Signer {
  sign(profile: Profile, claims: Readonly<Record<string, unknown>>): Promise<Material>
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
