// The keys that values are sealed with, as they are written down: in a Secret that the operator makes, or in a file that somebody mounts.

import type { Codec } from '../../issuer/key-store.ts'
import { Material } from '../../lib/material.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import { type SealKeys, sealKeyLength } from '../../lib/seal.ts'
import type { Entropy } from '../../ports/entropy.ts'

const most = 16
const wanted = `one key a line, the newest first, each ${sealKeyLength} bytes in base64, as \`openssl rand -base64 ${sealKeyLength}\` writes them`

/** One key a line, in base64; the first seals, all open. A failure is a sentence, and tells nothing of what was read. */
export function parseSealKeys(document: Material): Result<SealKeys, string> {
  const lines = new TextDecoder().decode(document.reveal()).split('\n')
  const keys = lines.map((line) => line.trim()).filter((line) => line !== '')
  if (new Set(keys).size !== keys.length) return fail(`a key for sealing is written twice; what is wanted is ${wanted}`)
  const read = keys.map((key) => (/^[A-Za-z0-9+/]{43}=$/.test(key) ? Buffer.from(key, 'base64') : Buffer.alloc(0)))
  const [first, ...others] = read.map((bytes) => new Material(bytes))
  if (first === undefined || read.length > most || read.some((bytes) => bytes.length !== sealKeyLength))
    return fail(`the keys for sealing cannot be read; what is wanted is ${wanted}, at most ${most} of them`)
  return ok([first, ...others])
}

/** The document that the operator makes, where nobody gives it a file. */
export const sealKeys = (entropy: Entropy): Codec<SealKeys> => ({
  what: 'the keys for sealing',
  generate: () => [new Material(entropy.bytes(sealKeyLength))],
  format: (keys) => new Material(keys.map((key) => `${Buffer.from(key.reveal()).toString('base64')}\n`).join('')),
  parse: parseSealKeys,
})
