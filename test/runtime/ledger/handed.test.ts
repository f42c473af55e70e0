// What revocation needs of a namespace is there before the first row, stays while anything may be alive, and goes after the last of it.

import { afterEach, expect, test } from '@jest/globals'
import { asUid } from '../../../src/core/names.ts'
import { emptyRecord } from '../../../src/core/observed.ts'
import { Material } from '../../../src/lib/material.ts'
import { fail, ok } from '../../../src/lib/result.ts'
import type { ProviderObject } from '../../../src/runtime/objects/kinds.ts'
import { eventually } from '../../support/cluster.ts'
import { makeCredentialRecord, makeTask } from '../../support/make.ts'
import { failed, handle, makeLedger, order } from './make.ts'

type World = ReturnType<typeof makeLedger>
const worlds: World[] = []
afterEach(async () => {
  await Promise.all(worlds.splice(0).map(({ ledger }) => ledger.stop()))
})

const live = makeTask({
  record: {
    ...emptyRecord,
    attempt: 1,
    secret: { name: 's', uid: asUid('secret-1'), attempt: 1 },
    credentials: [makeCredentialRecord({ name: 'db', handle: handle(), statusList: undefined })],
  },
})
const { namespace } = live
const own = { ...order, provider: { ...order.provider, kind: 'CredentialProvider' } }
const object = (host = 'db', uid = 'provider-1') =>
  ({
    kind: 'CredentialProvider',
    key: `${namespace}/corp`,
    namespace,
    name: 'corp',
    uid: asUid(uid),
    type: 'fake',
    params: { host, home: { namespace, name: 'corp' } },
  }) as unknown as ProviderObject
const document = 'taskbound-provider-provider-1'

async function issued(): Promise<World> {
  const w = makeLedger()
  worlds.push(w)
  w.provide(object())
  w.put(live)
  expect((await w.ledger.intend(live, own, 1, object())).ok).toBe(true)
  await eventually(() => expect(w.state(handle())).toBe('Issued'))
  return w
}
const kept = (w: World) => (w.documents.get(document) as { sealed: string } | undefined)?.sealed
/** which host each revocation was sent to, and whether by what was kept */
function record(w: World, answer: (params: { host: string; home: { kept?: unknown } }) => boolean) {
  const tried: string[] = []
  w.source.revoke = async (_, params) => {
    const { host, home } = params as { host: string; home: { kept?: unknown } }
    tried.push(`${host}${home.kept === undefined ? '' : ' as kept'}`)
    return answer({ host, home }) ? ok(undefined) : failed('no')
  }
  return tried
}

test('nothing is issued before it is kept, and it is kept sealed', async () => {
  const w = makeLedger()
  worlds.push(w)
  w.provide(object())
  w.handed.login = fail('it was taken back')
  expect(await w.ledger.intend(live, own, 1, object())).toMatchObject({
    ok: false,
    failure: { reason: 'WriteFailed', message: expect.stringContaining('it was taken back') },
  })
  expect(w.rows.size).toBe(0)
  const good = await issued()
  expect(kept(good)).toMatch(/^taskbound\.v1\./)
  expect(JSON.stringify(good.documents.get(document))).not.toMatch(/planted|cGxhbnRlZ/)
})

test('it is brought up to date when it was seen to work and changed, while rows are open, and not otherwise', async () => {
  const w = await issued()
  const first = kept(w)
  await w.ledger.works(object())
  expect(kept(w)).toBe(first)
  w.handed.login = ok({ password: new Material('rotated') })
  await w.ledger.works(object())
  expect(kept(w)).not.toBe(first)
  const second = kept(w)
  w.handed.login = fail('it was taken back')
  await w.ledger.works(object())
  expect(kept(w)).toBe(second)

  const idle = makeLedger()
  worlds.push(idle)
  idle.provide(object())
  await idle.ledger.works(object())
  expect(idle.documents.size).toBe(0)
})

test('a revocation takes the object as it stands, and what was kept where that fails', async () => {
  const w = await issued()
  const tried = record(w, ({ home }) => home.kept !== undefined)
  expect(await w.ledger.revoke(handle())).toBeUndefined()
  expect(tried).toEqual(['db', 'db as kept'])
})

test('where the object is gone, or another has its name, only what was kept is taken', async () => {
  for (const after of [undefined, object('elsewhere', 'provider-2')]) {
    const w = await issued()
    const tried = record(w, () => true)
    w.providers.remove('', { metadata: { name: 'corp', namespace, uid: 'provider-1', resourceVersion: '999' } } as never)
    if (after !== undefined) w.providers.observe('', { key: after.key, uid: after.uid, resourceVersion: '1000', value: after })
    expect(await w.ledger.revoke(handle())).toBeUndefined()
    expect(tried).toEqual(['db as kept'])
  }
})

test('after the last row is dead and clean it goes, not before, and comes back with the next row', async () => {
  const w = await issued()
  w.clock.wall += 31_000
  await w.ledger.works(object())
  expect(kept(w)).toBeDefined()
  w.source.clean = async () => failed('a lock')
  await w.ledger.revoke(handle())
  expect(w.state(handle())).toBe('Revoked')
  w.ledger.sweep()
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(kept(w)).toBeDefined()
  // what cannot be cleaned up is not waited for beyond ten minutes
  w.clock.wall += 601_000
  w.ledger.sweep()
  await eventually(() => expect(w.documents.has(document)).toBe(false))

  const next = makeTask({ ...live, uid: asUid('task-2'), name: 'next', key: `${namespace}/next` as never })
  w.put(next)
  w.source.clean = async () => ok(undefined)
  expect((await w.ledger.intend(next, own, 1, object())).ok).toBe(true)
  expect(kept(w)).toBeDefined()
  w.clock.wall += 31_000
  await w.ledger.revoke(handle(1, next))
  await eventually(() => expect(w.documents.has(document)).toBe(false))
})

test('while a row is being written it does not go, although all others are dead', async () => {
  const w = await issued()
  await w.ledger.revoke(handle())
  w.clock.wall += 601_000
  const next = makeTask({ ...live, uid: asUid('task-2'), name: 'next', key: `${namespace}/next` as never })
  w.put(next)
  const writing = w.ledger.intend(next, own, 1, object())
  w.ledger.sweep()
  expect((await writing).ok).toBe(true)
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(kept(w)).toBeDefined()
})

test('a server of a namespace has no say about another provider’s rows, and nothing of it is believed beyond a thousand handles', async () => {
  const w = makeLedger()
  worlds.push(w)
  w.provide()
  w.put(live)
  // a row of the cluster's provider that was given up: whoever lists its handle is told to end it, if it is that provider
  expect((await w.ledger.intend(live, order, 1, w.providers.get('corp') as ProviderObject)).ok).toBe(true)
  w.source.revoke = async () => failed('it is down')
  w.annotate(handle(), { 'taskbound.dev/irrevocable': 'the server is scrapped' })
  void w.ledger.revoke(handle())
  await eventually(() => expect(w.state(handle())).toBe('Irrevocable'))
  w.providers.remove('', { metadata: { name: 'corp', uid: 'provider-1', resourceVersion: '999' } } as never)
  w.providers.observe('', { key: `${namespace}/corp`, uid: 'provider-9', resourceVersion: '1000', value: object('db', 'provider-9') })
  w.calls.length = 0
  w.source.list = [handle(), ...Array.from({ length: 3_000 }, (_, i) => `tbstranger${i}`)]
  w.ledger.sweep()
  await eventually(() => expect(w.calls.filter((call) => call.startsWith('GET tb'))).toHaveLength(999))
  expect(w.calls.filter((call) => call === `revoke ${handle()}` || call === `clean ${handle()}`)).toEqual([])
})
