// Finds the provider of a `spec.type`, and settles which provider object an audience belongs to. Knows no provider by name.

import type { Provider } from '../ports/provider.ts'

export interface Registry {
  find(type: string): Provider<unknown> | undefined
  readonly types: readonly string[]
}

/** @param providers one implementation a type; the composition root lists them */
export function createRegistry(providers: readonly Provider<unknown>[]): Registry {
  const byType = new Map(providers.map((provider) => [provider.type, provider]))
  if (byType.size !== providers.length) throw new Error('two providers of one type')
  return { find: (type) => byType.get(type), types: [...byType.keys()] }
}

/** What decides who keeps an audience. */
export interface AudienceClaim {
  /** name of the provider object */
  readonly name: string
  readonly uid: string
  /** RFC 3339 with whole seconds, as the API server writes it */
  readonly createdTime: string
  readonly audiences: readonly string[]
  /** of the tokens that it gives, where that is somebody else's; providers of one issuer share its audiences */
  readonly issuer?: string | undefined
}

/** One audience that a provider lists and another one owns. */
export interface TakenAudience {
  readonly audience: string
  /** name of the provider that keeps it */
  readonly owner: string
}

/**
 * An audience belongs to one provider: the oldest that lists it, the smaller UID where two are of the same second.
 * @returns for each UID of a provider that lists somebody else's audience, which ones; those providers are not ready
 */
export function audiencesTaken(claims: readonly AudienceClaim[]): ReadonlyMap<string, readonly TakenAudience[]> {
  const owners = new Map<string, AudienceClaim>()
  const taken = new Map<string, TakenAudience[]>()
  for (const claim of [...claims].sort(byAge)) {
    for (const audience of new Set(claim.audiences)) {
      const owner = owners.get(audience)
      if (owner === undefined) owners.set(audience, claim)
      else if (claim.issuer === undefined || claim.issuer !== owner.issuer)
        taken.set(claim.uid, [...(taken.get(claim.uid) ?? []), { audience, owner: owner.name }])
    }
  }
  return taken
}

function byAge(a: AudienceClaim, b: AudienceClaim): number {
  const age = Date.parse(a.createdTime) - Date.parse(b.createdTime)
  if (age !== 0) return age
  return a.uid < b.uid ? -1 : 1
}
