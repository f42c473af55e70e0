// A small world for the issuer's tests: a clock that is moved by hand, keys, and a store of list records with compare-and-set.

import { randomBytes, randomUUID } from 'node:crypto'
import { asUid, toTaskKey } from '../../src/core/names.ts'
import { generateKeyDocument } from '../../src/issuer/key-document.ts'
import { createKeyring, type Keyring } from '../../src/issuer/keyring.ts'
import type { ListRecord, ListStore } from '../../src/issuer/statuslist/records.ts'
import { at, type Duration, type Instant, milliseconds, plus, seconds } from '../../src/lib/instant.ts'
import type { Material } from '../../src/lib/material.ts'
import { fail, ok } from '../../src/lib/result.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { Entropy } from '../../src/ports/entropy.ts'
import type { Order } from '../../src/ports/provider.ts'
import type { IssuerIdentity } from '../../src/ports/signer.ts'

export const identity: IssuerIdentity = { url: 'https://issuer.example', trustDomain: 'corp.example' }
export const audience = 'https://payroll-api.corp.example'
export const start: Instant = at(Date.UTC(2027, 0, 1))

export const entropy: Entropy = { bytes: (count) => new Uint8Array(randomBytes(count)), uuid: () => randomUUID(), unit: () => 0.5 }

export interface MovableClock extends Clock {
  advance(length: Duration): void
}

export function createClock(from: Instant = start): MovableClock {
  let passed = 0
  return {
    now: () => plus(from, milliseconds(passed)),
    monotonic: () => milliseconds(1_000_000 + passed),
    advance: (length) => {
      passed += length
    },
  }
}

export async function makeKeyring(): Promise<Keyring> {
  const keyring = await createKeyring(await generateKeyDocument(start))
  if (!keyring.ok) throw new Error(keyring.failure)
  return keyring.value
}

export function makeOrder(change: Partial<Order> = {}): Order {
  return {
    task: toTaskKey('finance', 'close-books'),
    taskUid: asUid('11111111-2222-4333-8444-555555555555'),
    agent: 'payroll-clerk',
    serviceAccount: 'payroll-clerk',
    action: 'payroll.reconcile',
    environment: 'production',
    requestedBy: 'alice',
    credential: 'payroll-api',
    audience,
    scopes: ['payroll:read'],
    attempt: 1,
    issuedAt: start,
    expiresAt: plus(start, seconds(600)),
    deadline: Number.POSITIVE_INFINITY,
    ...change,
  }
}

export const text = (material: Material): string => new TextDecoder().decode(material.reveal())

/** Records in memory. `before` runs at the start of each write, to let somebody else be faster. */
export function createListStore(before: () => void = () => {}): ListStore & { records(): readonly ListRecord[] } {
  let records: readonly ListRecord[] = []
  let version = 0
  return {
    records: () => records,
    read: async () => ok({ records, version: version === 0 ? undefined : String(version) }),
    write: async (next, seen) => {
      before()
      if (seen !== (version === 0 ? undefined : String(version))) return fail('conflict')
      records = next
      version += 1
      return ok(undefined)
    },
  }
}
