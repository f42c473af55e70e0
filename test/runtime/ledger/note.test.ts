// What a source itself calls what was made: it stands in the row before anything of worth is asked for, and a row that is to die takes none.

import { afterEach, expect, test } from '@jest/globals'
import { httpError, transportError } from '../../../src/kube/errors.ts'
import { endless } from '../../../src/lib/instant.ts'
import { makeTask } from '../../support/make.ts'
import { failed, handle, makeLedger, order, providerObject } from './make.ts'

const task = makeTask()
const name = handle(1, task)

const started: ReturnType<typeof makeLedger>[] = []
afterEach(async () => {
  for (const { ledger } of started.splice(0)) await ledger.stop()
})

async function intended() {
  const w = makeLedger()
  started.push(w)
  w.provide()
  expect((await w.ledger.intend(task, order, 1, providerObject())).ok).toBe(true)
  return w
}
const status = (w: Awaited<ReturnType<typeof intended>>) => w.rows.get(name)?.['status']
const refused = (words: string) => ({ ok: false, failure: { reason: 'IssueFailed', message: expect.stringContaining(words) } })

test('a note stands in the row, the next one takes its place, and who revokes is told', async () => {
  const w = await intended()
  expect(w.ledger.noted(name)).toBeUndefined()
  expect(await w.ledger.note(name, 'accessor-1')).toEqual({ ok: true, value: undefined })
  expect(status(w)).toEqual({ state: 'Intended', reference: 'accessor-1' })
  expect(await w.ledger.note(name, 'accessor-1 lease-1')).toEqual({ ok: true, value: undefined })
  expect(w.ledger.noted(name)).toBe('accessor-1 lease-1')
  expect(await w.ledger.revoke(name)).toBeUndefined()
  expect(w.references).toEqual(['accessor-1 lease-1'])
  expect(status(w)).toMatchObject({ state: 'Revoked', reference: 'accessor-1 lease-1' })
})

test('a row that is dying, dead or gone takes no note', async () => {
  const w = await intended()
  w.source.revoke = async () => failed('the server does not answer')
  await w.ledger.revoke(name)
  expect(await w.ledger.note(name, 'late')).toMatchObject(refused('is to die'))
  w.source.revoke = async () => ({ ok: true, value: undefined })
  w.ledger.provider('corp')
  expect(await w.ledger.revoke(name)).toBeUndefined()
  expect(await w.ledger.note(name, 'late')).toMatchObject(refused('is to die'))
  expect(await w.ledger.note(handle(2, task), 'late')).toMatchObject(refused('is gone'))
  expect(status(w)).not.toHaveProperty('reference')
})

test('a row that somebody else has written since takes no note, so that two leaders never make two things under it', async () => {
  const w = await intended()
  w.touch(name)
  expect(await w.ledger.note(name, 'late')).toMatchObject(refused('changed by somebody else'))
  expect(status(w)).toBeUndefined()
})

const patches = (w: Awaited<ReturnType<typeof intended>>) => w.calls.filter((call) => call.startsWith('PATCH ')).length

test('what was refused is written once more, since all of that attempt would be in vain', async () => {
  const w = await intended()
  const refusal = httpError(409, { message: 'another writer' })
  w.refusals.push(refusal)
  expect(await w.ledger.note(name, 'accessor-1')).toEqual({ ok: true, value: undefined })
  expect(status(w)).toEqual({ state: 'Intended', reference: 'accessor-1' })
  w.refusals.push(refusal, refusal)
  const before = patches(w)
  expect(await w.ledger.note(name, 'accessor-1 lease-1')).toMatchObject(refused('changed by somebody else'))
  expect(patches(w) - before).toBe(2)
  expect(status(w)).toEqual({ state: 'Intended', reference: 'accessor-1' })
})

test('where there was no answer nobody knows what was done, and nothing more is asked for under it', async () => {
  const w = await intended()
  w.refusals.push(transportError('timeout', 'no answer', true))
  expect(await w.ledger.note(name, 'accessor-1')).toMatchObject(refused('could not be written: timeout'))
  expect(patches(w)).toBe(1)
})

test('who does not lead notes nothing', async () => {
  let leads = true
  const w = makeLedger({ leads: () => leads })
  started.push(w)
  w.provide()
  await w.ledger.intend(task, order, 1, providerObject())
  leads = false
  expect(await w.ledger.note(name, 'late')).toMatchObject({ ok: false, failure: { reason: 'StaleView' } })
})

test('a value that existed before is never told of as revoked', async () => {
  const w = await intended()
  w.source.bound = endless
  expect(await w.ledger.revoke(name)).toBeUndefined()
  expect(status(w)).toMatchObject({ state: 'Revoked', reason: 'ValueRemains' })
  expect(w.audit).toMatchObject([
    { kind: 'revocation', reason: 'ValueRemains', message: expect.stringContaining('works until it is changed') },
  ])
  expect(w.audit).toHaveLength(1)
  expect([w.remained, w.overruns]).toEqual([['corp'], []])
})
