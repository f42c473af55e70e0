// Loads a document of secrets, or makes it on the first start. Two replicas that start together end with the same one.

import type { Material } from '../lib/material.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import type { Profile } from '../ports/signer.ts'
import { formatKeyDocument, type IssuerProfile, type KeyDocument, parseKeyDocument } from './key-document.ts'

/** Where the document lives: one Secret in the operator's namespace. A failure is a sentence. */
export interface KeyStore {
  /** `undefined` when there is none yet; never when it could not be read. */
  read(): Promise<Result<Material | undefined, string>>
  /** Creates it, never replaces it: a POST; `exists` is the API server's 409. */
  create(document: Material): Promise<Result<'created' | 'exists', string>>
}

/** How a document is made, written and read. */
export interface Codec<T> {
  /** for messages, for example `the signing keys` */
  readonly what: string
  generate(): T | Promise<T>
  format(value: T): Material
  parse(document: Material): Result<T, string> | Promise<Result<T, string>>
}

/**
 * Reads the document; where there is none, makes and stores it, and reads again when somebody else was faster.
 * What cannot be parsed is never replaced: something that was made with it may live.
 */
export async function loadOrCreateDocument<T>(store: KeyStore, codec: Codec<T>): Promise<Result<T, string>> {
  const found = await store.read()
  if (!found.ok) return found
  if (found.value !== undefined) return codec.parse(found.value)
  const made = await codec.generate()
  const created = await store.create(codec.format(made))
  if (!created.ok) return created
  if (created.value === 'created') return ok(made)
  const winner = await store.read()
  if (!winner.ok) return winner
  return winner.value === undefined ? fail(`${codec.what} were there and are gone`) : codec.parse(winner.value)
}

/** @param profiles those that the document has keys of */
export const loadOrCreate = <P extends Profile = IssuerProfile>(
  store: KeyStore,
  generate: () => Promise<KeyDocument<P>>,
  profiles?: readonly P[],
): Promise<Result<KeyDocument<P>, string>> =>
  loadOrCreateDocument<KeyDocument<P>>(store, {
    what: 'the signing keys',
    generate,
    format: formatKeyDocument,
    parse: (document) => parseKeyDocument(document, profiles),
  })
