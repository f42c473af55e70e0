// Loads the signing keys, or makes them on the first start. Two replicas that start together end with the same keys.

import type { Material } from '../lib/material.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import { formatKeyDocument, type KeyDocument, parseKeyDocument } from './key-document.ts'

/** Where the document lives: one Secret in the operator's namespace. A failure is a sentence. */
export interface KeyStore {
  /** `undefined` when there is none yet; never when it could not be read. */
  read(): Promise<Result<Material | undefined, string>>
  /** Creates it, never replaces it: a POST; `exists` is the API server's 409. */
  create(document: Material): Promise<Result<'created' | 'exists', string>>
}

/**
 * Reads the keys; where there are none, makes and stores them, and reads again when somebody else was faster.
 * A document that cannot be parsed is never replaced: tokens signed by it may live.
 */
export async function loadOrCreate(store: KeyStore, generate: () => Promise<KeyDocument>): Promise<Result<KeyDocument, string>> {
  const found = await store.read()
  if (!found.ok) return found
  if (found.value !== undefined) return parseKeyDocument(found.value)
  const made = await generate()
  const created = await store.create(formatKeyDocument(made))
  if (!created.ok) return created
  if (created.value === 'created') return ok(made)
  const winner = await store.read()
  if (!winner.ok) return winner
  return winner.value === undefined ? fail('the signing keys were there and are gone') : parseKeyDocument(winner.value)
}
