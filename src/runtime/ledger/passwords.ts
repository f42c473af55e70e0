// Passwords that need not be stored: each follows from a key of this installation and the handle that it is for, so that a renewal can
// write the Secret again, and no password is used twice.

import { createHmac } from 'node:crypto'
import type { Codec } from '../../issuer/key-store.ts'
import { Material } from '../../lib/material.ts'
import { fail, ok } from '../../lib/result.ts'
import type { Entropy } from '../../ports/entropy.ts'

const length = 32

/** The document that holds the key. */
export const passwordKey = (entropy: Entropy): Codec<Material> => ({
  what: 'the bytes of the password key',
  generate: () => new Material(entropy.bytes(length)),
  format: (key) => key,
  parse: (document) =>
    document.reveal().length === length ? ok(document) : fail(`the password key must have ${length} bytes; restore the Secret as it was`),
})

/** 43 characters of [A-Za-z0-9_-]: HMAC-SHA-256 of the handle. */
export const createPasswords =
  (key: Material) =>
  (handle: string): Material =>
    new Material(createHmac('sha256', key.reveal()).update(`password of ${handle}`).digest('base64url'))
