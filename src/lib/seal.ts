// Seals a value so that it opens only in the place that it was sealed for: AES-256-GCM with the place as associated data.
// Knows nothing of where keys come from, and never shows a value or a key.

import { createCipheriv, createDecipheriv, createHash, createHmac } from 'node:crypto'
import { Material } from './material.ts'
import { fail, ok, type Result } from './result.ts'

/** Where a value belongs, as named strings: for example the row, the task and the address that it may be sent to. All are compared. */
export type SealPlace = Readonly<Record<string, string>>

/** 32 bytes each; the first seals, all open. */
export type SealKeys = readonly [Material, ...Material[]]

export interface Seal {
  /** Text of printable characters without spaces. The same value sealed twice gives two texts. */
  seal(place: SealPlace, value: Material): string
  /**
   * `unknown key`: it was sealed with a key that is not there. `mismatch`: it was sealed for another place, or is not as it was written;
   * which of these nobody can tell.
   */
  open(place: SealPlace, sealed: string): Result<Material, 'unknown key' | 'mismatch'>
}

export const sealKeyLength = 32
const version = 'taskbound.v1'
const [nonceLength, tagLength] = [12, 16]

/** By which a sealed value names its key. Says nothing of the key itself. */
const idOf = (key: Material): string => createHash('sha256').update('taskbound seal key').update(key.reveal()).digest('hex').slice(0, 16)

/** A length before each part: no two places are the same bytes. */
function bytesOf(place: SealPlace, id: string): Buffer {
  const parts = Object.entries(place).sort(([a], [b]) => (a < b ? -1 : 1))
  return Buffer.from([version, id, ...parts.flat()].map((part) => `${Buffer.byteLength(part)}:${part}`).join(''))
}

/** Each place has a key of its own, so the nonces of one place alone must differ: 96 random bits are plenty for that. */
const keyOf = (key: Material, place: Buffer): Buffer => createHmac('sha256', key.reveal()).update(place).digest()

/** @param random cryptographically strong bytes, as many as asked for */
export function createSeal(keys: SealKeys, random: (count: number) => Uint8Array): Seal {
  const byId = new Map(keys.map((key) => [idOf(key), key]))
  const [first] = keys
  const firstId = idOf(first)
  return {
    seal(place, value) {
      const bound = bytesOf(place, firstId)
      const nonce = random(nonceLength)
      const cipher = createCipheriv('aes-256-gcm', keyOf(first, bound), nonce, { authTagLength: tagLength }).setAAD(bound)
      const bytes = Buffer.concat([nonce, cipher.update(value.reveal()), cipher.final(), cipher.getAuthTag()])
      return `${version}.${firstId}.${bytes.toString('base64url')}`
    },
    open(place, sealed) {
      const [, id = '', text = ''] = /^taskbound\.v1\.([0-9a-f]{16})\.([A-Za-z0-9_-]+)$/.exec(sealed) ?? []
      const key = byId.get(id)
      if (id !== '' && key === undefined) return fail('unknown key')
      const bytes = Buffer.from(text, 'base64url')
      if (key === undefined || bytes.length < nonceLength + tagLength) return fail('mismatch')
      const bound = bytesOf(place, id)
      const [nonce, tag] = [bytes.subarray(0, nonceLength), bytes.subarray(-tagLength)]
      const decipher = createDecipheriv('aes-256-gcm', keyOf(key, bound), nonce, { authTagLength: tagLength }).setAAD(bound).setAuthTag(tag)
      try {
        return ok(new Material(Buffer.concat([decipher.update(bytes.subarray(nonceLength, -tagLength)), decipher.final()])))
      } catch {
        return fail('mismatch')
      }
    },
  }
}
