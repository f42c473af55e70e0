// Texts of the corpus in objects that are otherwise well-formed, and what the API server says to each.

import type { Crd } from '../../../generate/crds.ts'
import type { KubeTestClient, Reply } from '../../../support/cluster.ts'
import { corpus, type Place, placesOf, put } from '../../../support/corpus.ts'

export interface Text {
  readonly what: string
  readonly text: string
}
/** As a JSON document can say it: what is no Unicode arrives as the sign for that. */
export const texts: readonly Text[] = Object.entries(corpus).map(([what, text]) => ({ what, text: text.toWellFormed() }))

/** Does something with each, so many at a time. */
export async function each<T>(all: readonly T[], work: (one: T, i: number) => Promise<unknown>, atOnce = 32): Promise<void> {
  for (let from = 0; from < all.length; from += atOnce)
    await Promise.all(all.slice(from, from + atOnce).map((one, i) => work(one, from + i)))
}

export interface Judged {
  /** The texts that the API server lets stand at a place, such as `.spec.action`. */
  at(kind: string, path: string): readonly Text[]
  /** Every place and text that it takes. */
  taken(kind: string): readonly (Text & { readonly place: Place })[]
  /** Texts that stand at both: a task can ask for them, and a provider can list them. */
  both(task: string, provider: string): readonly string[]
  readonly refused: number
}

/**
 * Asks the API server about each text in each place, changing nothing. Throws where it says neither yes nor no in words.
 * @param base an object that it takes, for a place
 */
export async function judge(
  kube: KubeTestClient,
  crds: readonly Crd[],
  base: (crd: Crd, place: Place) => object,
  home: (crd: Crd) => string,
) {
  const taken = new Map<string, (Text & { readonly place: Place })[]>()
  let refused = 0
  const all = crds.flatMap((crd) => placesOf(crd).flatMap((place) => texts.map((text) => ({ crd, place, ...text }))))
  await each(all, async ({ crd, place, what, text }) => {
    const { status, body }: Reply = await kube.request('POST', `${home(crd)}?dryRun=All`, put(base(crd, place), place.path, text))
    if (status === 201) taken.set(crd.kind, [...(taken.get(crd.kind) ?? []), { place, what, text }])
    else if ([400, 403, 422].includes(status) && String(body?.message).length > 10) refused += 1
    else throw new Error(`${what} in ${crd.kind}${place.path}: ${status} ${body?.message}`)
  })
  const judged: Judged = {
    at: (kind, path) => (taken.get(kind) ?? []).filter(({ place }) => place.path === path),
    taken: (kind) => taken.get(kind) ?? [],
    both(task, provider) {
      const listed = new Set(judged.at('ClusterCredentialProvider', provider).map(({ text }) => text))
      return judged.at('AgentTask', task).flatMap(({ text }) => (listed.delete(text) ? [text] : []))
    },
    refused,
  }
  return judged
}
