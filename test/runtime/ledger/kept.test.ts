// What a source wants to see before it ends something: it is kept before anything is delivered, shown to that source alone, opens under no
// other row, and goes with the row.

import { randomBytes } from 'node:crypto'
import { afterEach, describe, expect, test } from '@jest/globals'
import { at } from '../../../src/lib/instant.ts'
import { Material } from '../../../src/lib/material.ts'
import { createSeal } from '../../../src/lib/seal.ts'
import { eventually } from '../../support/cluster.ts'
import { makeTask, t0 } from '../../support/make.ts'
import { failed, handle, makeLedger, order, providerObject } from './make.ts'

const task = makeTask()
const name = handle(1, task)
const second = handle(2, task)
const secret = `taskbound-kept-${name}`
const canary = 'canary-of-a-token'
const keys = [new Material(randomBytes(32)), new Material(randomBytes(32))] as const

const started: ReturnType<typeof makeLedger>[] = []
afterEach(async () => {
  for (const { ledger } of started.splice(0)) await ledger.stop()
})

async function intended(options: Parameters<typeof makeLedger>[0] = {}) {
  const w = makeLedger(options)
  started.push(w)
  w.source.origin = 'https://api.example'
  w.provide()
  for (const attempt of [1, 2]) expect((await w.ledger.intend(task, order, attempt, providerObject())).ok).toBe(true)
  const given = (row = name) => w.ledger.keeping(w.provider, {}, row)
  const keep = async (value: string, until?: number, row = name) =>
    given(row).keep?.(new Material(value), ...(until === undefined ? [] : [at(until)]))
  return { ...w, given, keep }
}
const refused = (words: string) => ({ ok: false, failure: { reason: 'IssueFailed', message: expect.stringContaining(words) } })
const done = { ok: true, value: undefined }
const server = { kind: 'http', status: 500, reason: 'InternalError', message: 'no' } as never

test('a provider whose source needs nothing is given nothing', async () => {
  const w = await intended()
  w.source.origin = undefined
  expect(w.given()).toEqual({})
  expect(await w.ledger.revoke(name)).toBeUndefined()
  expect(w.shown).toEqual([])
  expect(w.calls.filter((call) => call.includes('kept'))).toEqual([])
})

test('what is kept is sealed, belongs to its row, is shown to who revokes, and goes when the row is closed', async () => {
  const w = await intended()
  expect(await w.keep(canary)).toEqual(done)
  const kept = w.secrets.get(secret)
  const row = w.rows.get(name)
  expect(kept).toMatchObject({
    type: 'Opaque',
    metadata: { ownerReferences: [{ kind: 'CredentialLease', name, uid: row?.metadata.uid }] },
  })
  const data = (kept?.['data'] ?? {}) as Record<string, string>
  const written = Buffer.from(String(data['1']), 'base64').toString()
  expect(written).toMatch(/^taskbound\.v1\./)
  expect(JSON.stringify([kept, row, w.calls])).not.toContain(canary)
  expect(await w.ledger.revoke(name)).toBeUndefined()
  expect(w.shown).toEqual([{ ok: true, value: [canary] }])
  await eventually(() => expect([...w.secrets.keys()]).toEqual([]))
  expect(w.calls.indexOf(`PATCH ${name} Revoked`)).toBeLessThan(w.calls.indexOf(`DELETE ${secret}`))
})

test('it stays as long as the row is not dead', async () => {
  const w = await intended()
  await w.keep(canary)
  w.source.revoke = async () => failed('the server does not answer')
  await w.ledger.revoke(name)
  expect(w.secrets.has(secret)).toBe(true)
})

test('renewals add to it, and what has died by itself is left out', async () => {
  const w = await intended()
  await w.keep('first', t0 + 1_000)
  await w.keep('second', t0 + 3_600_000)
  w.clock.wall = t0 + 60_000
  await w.keep('third')
  await w.given().kept?.()
  w.clock.wall = t0 + 62_000
  await w.keep('fourth', t0 + 9_000_000)
  expect(await w.ledger.revoke(name)).toBeUndefined()
  expect(w.shown).toEqual([{ ok: true, value: ['second', 'third', 'fourth'] }])
})

test('it does not grow without end, and takes nothing that is too long', async () => {
  const w = await intended()
  for (let i = 0; i < 32; i += 1) expect(await w.keep(String(i))).toEqual(done)
  expect(await w.keep('one more')).toMatchObject(refused('too many of earlier renewals'))
  expect(await w.keep('x'.repeat(16_385), undefined, second)).toMatchObject(refused('longer than 16384 bytes'))
})

test('two that keep at once both have what they kept', async () => {
  const w = await intended()
  await w.keep('first')
  let raced = false
  w.vault.before = () => {
    if (raced) return
    raced = true
    w.secrets.set(secret, { ...w.secrets.get(secret), metadata: { ...w.secrets.get(secret)?.metadata, resourceVersion: 'later' } } as never)
  }
  expect(await w.keep('second')).toEqual(done)
  const kept = await w.given().kept?.()
  expect(kept?.ok && kept.value.length).toBe(2)
  expect(w.calls.filter((call) => call === `PUT ${secret}`)).toHaveLength(2)
})

test('what cannot be written is not kept, and says so', async () => {
  const w = await intended()
  w.vault.refuse = server
  expect(await w.keep(canary)).toMatchObject(refused('could not be kept'))
  expect(await w.keep(canary, undefined, handle(3, task))).toMatchObject(refused('its row in the ledger is gone'))
})

test('under a row that is to die it is kept for who ends it, and given to nobody', async () => {
  const w = await intended()
  w.source.revoke = async () => failed('not yet')
  await w.ledger.revoke(name)
  expect(await w.keep(canary)).toMatchObject(refused('is to die'))
  w.source.revoke = async () => done as never
  w.ledger.provider('corp')
  expect(await w.ledger.revoke(name)).toBeUndefined()
  expect(w.shown.at(-1)).toEqual({ ok: true, value: [canary] })
  // and under one that is closed it does not stay
  expect(await w.keep(canary)).toMatchObject(refused('is to die'))
  await eventually(() => expect(w.secrets.has(secret)).toBe(false))
})

test('who does not lead keeps it for who does, and gives it to nobody', async () => {
  let leads = true
  const w = await intended({ leads: () => leads })
  leads = false
  expect(await w.keep(canary)).toMatchObject({ ok: false, failure: { reason: 'StaleView' } })
  expect(w.secrets.has(secret)).toBe(true)
})

test('what could not be removed is removed later, also of a row that was given up', async () => {
  const w = await intended()
  await w.keep(canary)
  w.source.revoke = async () => failed('never')
  let calls = 0
  w.vault.before = () => {
    w.vault.refuse = ++calls === 1 ? server : undefined
  }
  // nothing can come late any more, so cleaning begins at once
  w.clock.wall = t0 + 31_000
  w.annotate(name, { 'taskbound.dev/irrevocable': 'the account was closed' })
  await eventually(() => expect([w.state(name), w.secrets.has(secret)]).toEqual(['Irrevocable', false]))
  expect(calls).toBe(2)
})

describe('moved elsewhere it does not open, and nothing is sent', () => {
  test('to another row', async () => {
    const w = await intended()
    await w.keep(canary)
    w.secrets.set(`taskbound-kept-${second}`, w.secrets.get(secret) as never)
    expect(await w.ledger.revoke(second)).toMatchObject({
      reason: 'RevocationUnconfirmed',
      message: expect.stringContaining('another row'),
    })
    expect(w.shown.map(({ ok }) => ok)).not.toContain(true)
    expect(w.state(second)).not.toBe('Revoked')
  })

  test('to another address', async () => {
    const w = await intended()
    await w.keep(canary)
    w.source.origin = 'https://collector.evil.example'
    expect(await w.ledger.revoke(name)).toMatchObject({ message: expect.stringContaining('let the provider name the address') })
    w.source.origin = 'https://api.example'
    w.ledger.provider('corp')
    expect(await w.ledger.revoke(name)).toBeUndefined()
  })

  test('with another key; with the former one beside the new one it does', async () => {
    const before = await intended({ seal: createSeal([keys[0]], randomBytes) })
    await before.keep(canary)
    const after = await intended({ seal: createSeal([keys[1]], randomBytes) })
    const both = await intended({ seal: createSeal([keys[1], keys[0]], randomBytes) })
    for (const w of [after, both]) w.secrets.set(secret, before.secrets.get(secret) as never)
    expect(await after.ledger.revoke(name)).toMatchObject({ message: expect.stringContaining('add the former key') })
    expect(await both.ledger.revoke(name)).toBeUndefined()
  })
})
