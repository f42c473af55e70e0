// A password as PostgreSQL stores it: a SCRAM-SHA-256 verifier (RFC 5802, RFC 7677), so that the password itself is in no statement, no log
// of the server and no activity view.

import { createHash, createHmac, pbkdf2 } from 'node:crypto'
import { promisify } from 'node:util'
import type { Material } from '../../lib/material.ts'

/** The least that RFC 7677 asks for; what it protects is 256 random bits already. */
const iterations = 4096

/** `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`. @param password ASCII, so that no preparation changes it */
export async function scramVerifier(password: Material, salt: Uint8Array): Promise<string> {
  const salted = await promisify(pbkdf2)(password.reveal(), salt, iterations, 32, 'sha256')
  const key = (label: string): Buffer => createHmac('sha256', salted).update(label).digest()
  const stored = createHash('sha256').update(key('Client Key')).digest('base64')
  return `SCRAM-SHA-256$${iterations}:${Buffer.from(salt).toString('base64')}$${stored}:${key('Server Key').toString('base64')}`
}
