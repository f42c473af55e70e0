import { afterEach, describe, expect, test } from '@jest/globals'
import { asUid } from '../../../src/core/names.ts'
import { emptyRecord } from '../../../src/core/observed.ts'
import { seconds } from '../../../src/lib/instant.ts'
import { fail, ok } from '../../../src/lib/result.ts'
import { eventually } from '../../support/cluster.ts'
import { makeCredentialRecord, makeTask, time } from '../../support/make.ts'
import { failed, handle, makeLedger, namespace, order, prefix, providerObject } from './make.ts'

type World = ReturnType<typeof makeLedger>
const worlds: World[] = []
afterEach(async () => {
  await Promise.all(worlds.splice(0).map(({ ledger }) => ledger.stop()))
})

const task = makeTask({ record: { ...emptyRecord, attempt: 1 } })
/** delivered under the handle of attempt 1, for ten minutes */
const live = makeTask({
  record: {
    ...emptyRecord,
    attempt: 1,
    secret: { name: 's', uid: asUid('secret-1'), attempt: 1 },
    credentials: [makeCredentialRecord({ name: 'db', handle: handle(), statusList: undefined })],
  },
})

function world(options: Parameters<typeof makeLedger>[0] = {}): World {
  const made = makeLedger(options)
  worlds.push(made)
  made.provide()
  return made
}

/** A row as it stands after an issue. */
async function issued(w: World, whose = live): Promise<string> {
  w.put(whose)
  const intended = await w.ledger.intend(whose, order, 1, providerObject())
  if (!intended.ok) throw new Error(intended.failure.message)
  await eventually(() => expect(w.state(intended.value.handle)).toBe('Issued'))
  return intended.value.handle
}

describe('a renewal', () => {
  test('that its task says is delivered has what it replaced ended; a sweep looks as well', async () => {
    const w = world()
    await issued(w)
    await eventually(() => expect(w.source.retired).toEqual([1]))
    const credentials = live.record.credentials.map((c) => ({ ...c, attempt: 2, expiresAt: time(900) }))
    w.put({ ...live, record: { ...live.record, attempt: 2, secret: { name: 's', uid: asUid('secret-1'), attempt: 2 }, credentials } })
    await eventually(() => expect(w.source.retired).toEqual([1, 2]))
    w.ledger.sweep()
    await eventually(() => expect(w.source.retired).toEqual([1, 2, 2]))
  })
})

describe('an intent', () => {
  test('is a row under a handle that follows from the task, with a time after which nothing is sent', async () => {
    const w = world()
    const intended = await w.ledger.intend(task, order, 1, providerObject())
    expect(intended).toEqual(ok({ handle: handle(), effectBy: time(30), deadline: 1_000 + 25_000 }))
    expect(w.rows.get(handle())?.['spec']).toMatchObject({
      handle: handle(),
      installation: prefix,
      attempt: 1,
      effectBy: '2026-11-02T09:00:30Z',
    })
    expect(w.ledger.facts(task.uid)).toEqual([
      { handle: handle(), credential: 'db', attempt: 1, open: true, dead: false, message: undefined },
    ])
  })

  test('is never written twice for one attempt', async () => {
    const w = world()
    await w.ledger.intend(task, order, 1, providerObject())
    expect(await w.ledger.intend(task, order, 1, providerObject())).toMatchObject({ ok: false, failure: { reason: 'IssueFailed' } })
  })

  test('is refused where its namespace owes too much at this provider, and only there', async () => {
    const w = world({ limit: 2 })
    for (const attempt of [1, 2]) expect((await w.ledger.intend(task, order, attempt, providerObject())).ok).toBe(true)
    const full = await w.ledger.intend(task, order, 3, providerObject())
    expect(full).toMatchObject({ ok: false, failure: { reason: 'LedgerFull' } })
    expect(w.rows.size).toBe(2)
    const other = makeTask({ namespace: 'sales', uid: asUid('task-2') })
    expect((await w.ledger.intend(other, order, 1, providerObject())).ok).toBe(true)
    const elsewhere = { ...order, provider: { ...order.provider, uid: asUid('provider-2') } }
    expect((await w.ledger.intend(task, elsewhere, 4, providerObject('other', 'provider-2'))).ok).toBe(true)
    // what is known to be dead counts no more
    expect(await w.ledger.revoke(handle(1))).toBeUndefined()
    expect((await w.ledger.intend(task, order, 3, providerObject())).ok).toBe(true)
  })

  test('keeps the settings of its provider once, however many begin together', async () => {
    const w = world()
    const many = [1, 2, 3, 4, 5].map((attempt) => w.ledger.intend(task, order, attempt, providerObject()))
    expect((await Promise.all(many)).every(({ ok: written }) => written)).toBe(true)
    expect(w.kept()).toBe(1)
  })

  test('is not written by who does not lead', async () => {
    const w = world({ leads: () => false })
    expect(await w.ledger.intend(task, order, 1, providerObject())).toMatchObject({ ok: false, failure: { reason: 'StaleView' } })
    expect(w.rows.size).toBe(0)
  })
})

describe('a row', () => {
  test('says Issued once its task says so, and nothing more is written while that holds', async () => {
    const w = world()
    const name = await issued(w)
    expect(w.rows.get(name)?.['status']).toEqual({
      state: 'Issued',
      issueTime: '2026-11-02T09:00:00Z',
      expirationTime: '2026-11-02T09:10:00Z',
    })
    const before = w.calls.length
    w.ledger.sweep()
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(w.calls.slice(before)).toEqual([])
    // a renewal is told by the record
    w.put({ ...live, record: { ...live.record, credentials: live.record.credentials.map((c) => ({ ...c, expiresAt: time(1200) })) } })
    await eventually(() => expect(w.rows.get(name)?.['status']).toMatchObject({ state: 'Issued', expirationTime: '2026-11-02T09:20:00Z' }))
  })

  test('dies when it is told to, is written down once, and its rest is removed only after nothing can come late', async () => {
    const w = world()
    const name = await issued(w)
    w.clock.wall += 29_900
    expect(await w.ledger.revoke(name)).toBeUndefined()
    expect(w.state(name)).toBe('Revoked')
    expect(w.ledger.facts(live.uid)).toMatchObject([{ open: false, dead: true }])
    expect(w.audit).toMatchObject([{ kind: 'revocation', credential: 'db', provider: 'corp', reason: 'AllRevoked', attempt: 1 }])
    expect(w.changed).toEqual([live.key])
    expect(w.calls).not.toContain(`clean ${name}`)
    w.clock.mono += 200
    await eventually(() => expect(w.calls).toContain(`clean ${name}`))
    expect(w.calls.filter((c) => c === `revoke ${name}`)).toHaveLength(1)
  })

  test('that cannot be revoked says why, is told about once, and is tried at once when its provider changes', async () => {
    const w = world()
    const name = await issued(w)
    w.source.revoke = async () => failed('the server does not answer')
    expect(await w.ledger.revoke(name)).toEqual({ reason: 'RevocationUnconfirmed', message: 'credential `db`: the server does not answer' })
    expect([w.state(name), w.message(name)]).toEqual(['Revoking', 'the server does not answer'])
    await eventually(() => expect(w.calls.filter((c) => c === `revoke ${name}`).length).toBeGreaterThan(1))
    expect(w.events).toHaveLength(1)
    expect([...w.ledger.rows()]).toMatchObject([{ namespace: 'finance', provider: 'corp', state: 'Revoking' }])
    w.clock.mono += 60_001
    expect([...w.ledger.rows()]).toMatchObject([{ namespace: 'finance', provider: 'corp', state: 'Overdue' }])
    w.source.revoke = async () => ok(undefined)
    w.ledger.provider('corp')
    await eventually(() => expect(w.state(name)).toBe('Revoked'), { timeoutMs: 300 })
  })

  test('that nobody can end says until when it lives, alarms nobody, bars nothing new, and is closed as expired at that time', async () => {
    const w = world()
    const name = await issued(w)
    const until = time(960)
    w.source.promises = { revocation: 'ExpireOnly', bound: seconds(960) }
    w.source.revoke = async () =>
      w.clock.wall < until ? fail({ reason: 'ExpiresAt', message: 'it works until then', until }) : ok(undefined)
    expect(await w.ledger.revoke(name)).toEqual({ reason: 'ExpiresAt', message: 'credential `db`: it works until then' })
    expect(w.rows.get(name)?.['status']).toMatchObject({ state: 'Revoking', reason: 'ExpiresAt', expirationTime: '2026-11-02T09:16:00Z' })
    expect(w.ledger.facts(live.uid)).toMatchObject([{ open: true, dead: false, expiring: true }])
    expect(w.audit).toMatchObject([{ kind: 'revocation', reason: 'ExpiresAt', message: 'it works until then' }])
    w.clock.mono += 60_001
    expect([...w.ledger.rows()]).toMatchObject([{ state: 'Expiring' }])
    w.ledger.sweep()
    await w.ledger.revoke(name)
    expect([w.audit.length, w.events, w.checked]).toEqual([1, [], []])
    expect(w.calls.filter((c) => c === `PATCH ${name} Revoking`)).toHaveLength(1)
    w.clock.wall = until
    w.ledger.sweep()
    await eventually(() => expect(w.state(name)).toBe('Expired'))
    expect(w.ledger.facts(live.uid)).toMatchObject([{ open: false, dead: true }])
    expect(w.audit.slice(1)).toMatchObject([{ kind: 'revocation', reason: 'ExpiresAt', message: 'it has died by itself' }])
    expect(w.overruns).toEqual([])
  })

  test('that is only waited for any more tells its task so, though it says the same', async () => {
    const w = world()
    const name = await issued(w)
    const lost = { reason: 'RevocationUnconfirmed', message: 'its answer was lost' } as const
    w.source.revoke = async () => fail(lost)
    expect(await w.ledger.revoke(name)).toMatchObject({ reason: 'RevocationUnconfirmed' })
    const before = w.changed.length
    w.source.revoke = async () => fail({ ...lost, until: time(960) })
    w.ledger.provider('corp')
    await eventually(() => expect(w.ledger.facts(live.uid)).toMatchObject([{ expiring: true }]))
    expect(w.changed.slice(before)).toEqual([live.key])
  })

  test('is revoked when its record does not hold it any more, whoever told so', async () => {
    const w = world()
    const name = await issued(w)
    w.put({ ...live, record: { ...live.record, attempt: 2 } })
    await eventually(() => expect(w.state(name)).toBe('Revoked'))
  })

  test('whose time is over while its record still claims it says so before it is revoked', async () => {
    const w = world()
    const name = await issued(w)
    w.clock.wall += 601_000
    w.ledger.sweep()
    await eventually(() => expect(w.state(name)).toBe('Revoked'))
    expect(w.calls.filter((c) => !c.startsWith('clean')).slice(-3)).toEqual([
      `PATCH ${name} Revoking`,
      `revoke ${name}`,
      `PATCH ${name} Revoked`,
    ])
  })

  test('whose task was seen to go is revoked without a question', async () => {
    const w = world()
    const name = await issued(w)
    w.vanish(live)
    await eventually(() => expect(w.state(name)).toBe('Revoked'))
    expect(w.calls).not.toContain('GET task')
  })

  test('of a namespace that was taken off the list is revoked: its tasks can be neither seen nor asked for', async () => {
    const w = world({ serves: (name) => name !== task.namespace })
    await w.ledger.intend(task, order, 1, providerObject())
    await eventually(() => expect(w.state(handle())).toBe('Revoked'))
    expect(w.calls).not.toContain('GET task')
  })

  test.each([
    ['nobody answers', { state: 'unknown' }, 'Intended'],
    ['it is there', { state: 'present', uid: task.uid }, 'Intended'],
    ['another has its name', { state: 'present', uid: asUid('task-2') }, 'Revoked'],
    ['it is gone', { state: 'absent' }, 'Revoked'],
  ] as const)('of a task that no store shows is asked about first: %s', async (_name, answer, state) => {
    const w = world()
    w.live.task = answer
    await w.ledger.intend(task, order, 1, providerObject())
    await eventually(() => expect(w.calls).toContain('GET task'))
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(w.state(handle())).toBe(state)
    expect(w.calls.includes(`revoke ${handle()}`)).toBe(state === 'Revoked')
  })

  test('that somebody else wrote meanwhile is read again and still dies', async () => {
    const w = world()
    const name = await issued(w)
    w.touch(name)
    void w.ledger.revoke(name)
    await eventually(() => expect(w.calls).toContain(`PATCH ${name} Revoked`))
    expect(w.state(name)).toBe('Issued')
    w.see(name)
    await eventually(() => expect(w.state(name)).toBe('Revoked'))
  })

  test('that an administrator gives up is closed with the reason and tried no more', async () => {
    const w = world()
    const name = await issued(w)
    w.source.revoke = async () => failed('the server does not answer')
    await w.ledger.revoke(name)
    w.annotate(name, { 'taskbound.dev/irrevocable': 'the server was scrapped' })
    await eventually(() => expect(w.state(name)).toBe('Irrevocable'))
    expect(w.audit.at(-1)).toMatchObject({ reason: 'Irrevocable', message: 'given up by an administrator: the server was scrapped' })
    expect(w.ledger.facts(live.uid)).toMatchObject([
      { open: false, dead: false, message: 'given up by an administrator: the server was scrapped' },
    ])
    const tries = w.calls.filter((c) => c === `revoke ${name}`).length
    w.ledger.sweep()
    await new Promise((resolve) => setTimeout(resolve, 700))
    expect(w.calls.filter((c) => c === `revoke ${name}`)).toHaveLength(tries)
  })

  test('of a provider whose object is gone is revoked by the settings that were kept', async () => {
    const w = world()
    const name = await issued(w)
    let seen: unknown
    w.source.revoke = async (_handle, params) => {
      seen = params
      return ok(undefined)
    }
    w.provide(providerObject('corp', 'provider-2'))
    expect(await w.ledger.revoke(name)).toBeUndefined()
    expect(seen).toEqual({ host: 'corp' })
  })

  test('of a provider that is gone without a trace stays open and says so', async () => {
    const w = world()
    const name = await issued(w)
    w.documents.clear()
    w.provide(providerObject('corp', 'provider-2'))
    expect(await w.ledger.revoke(name)).toMatchObject({ message: expect.stringContaining('its settings were not kept') })
    expect(w.state(name)).toBe('Revoking')
  })

  test('stays for a day after its end, and goes only with its task', async () => {
    const w = world()
    const name = await issued(w)
    await w.ledger.revoke(name)
    w.clock.wall += 86_401_000
    w.ledger.sweep()
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(w.rows.has(name)).toBe(true)
    w.vanish(live)
    await eventually(() => expect(w.rows.has(name)).toBe(false))
  })
})

test('a source that does not answer delays no revocation at another', async () => {
  const w = world()
  w.provide(providerObject('other', 'provider-2'))
  const tasks = [...Array(20).keys()].map((i) => ({
    ...live,
    uid: asUid(`other-${i}`),
    key: `finance/t${i}` as typeof live.key,
    name: `t${i}`,
  }))
  const blocked = Promise.withResolvers<void>()
  w.source.revoke = async (_handle, params) => {
    if ((params as { host: string }).host === 'corp') await blocked.promise
    return ok(undefined)
  }
  for (const t of tasks) {
    const intended = await w.ledger.intend(t, order, 1, providerObject())
    if (intended.ok) void w.ledger.revoke(intended.value.handle)
  }
  const elsewhere = { ...order, provider: { ...order.provider, name: 'other', uid: asUid('provider-2') } }
  const intended = await w.ledger.intend(live, elsewhere, 1, providerObject('other', 'provider-2'))
  if (!intended.ok) throw new Error(intended.failure.message)
  expect(await w.ledger.revoke(intended.value.handle)).toBeUndefined()
  blocked.resolve()
})

test('a source that keeps somebody waiting is noticed, checked, and gone on with once it answers', async () => {
  const w = world()
  const name = await issued(w)
  const silent = Promise.withResolvers<void>()
  w.source.revoke = async () => {
    await silent.promise
    return ok(undefined)
  }
  expect(await w.ledger.revoke(name)).toMatchObject({ reason: 'RevocationUnconfirmed' })
  await eventually(() => expect(w.checked).toEqual(['corp']))
  silent.resolve()
  await eventually(() => expect(w.state(name)).toBe('Revoked'))
})

describe('a sweep of a source', () => {
  test('kills what has no row, by the store and by the API server', async () => {
    const w = world()
    w.source.list = [`${prefix}stray`]
    w.ledger.sweep()
    await eventually(() => expect(w.calls).toEqual([`GET ${prefix}stray`, `revoke ${prefix}stray`, `clean ${prefix}stray`]))
  })

  test('leaves alone what has a row that no store shows yet, and what is open', async () => {
    const w = world()
    const name = await issued(w)
    w.rows.set(`${prefix}new`, { metadata: { name: `${prefix}new`, uid: 'x', resourceVersion: '1' } } as never)
    w.source.list = [`${prefix}new`, name]
    w.ledger.sweep()
    await eventually(() => expect(w.calls).toContain(`GET ${prefix}new`))
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(w.calls.filter((c) => c.startsWith('revoke') || c.startsWith('clean'))).toEqual([])
  })

  test('kills what was given up, now that it can be reached', async () => {
    const w = world()
    const name = await issued(w)
    w.annotate(name, { 'taskbound.dev/irrevocable': 'the server was scrapped' })
    await eventually(() => expect(w.state(name)).toBe('Irrevocable'))
    w.source.list = [name]
    w.ledger.sweep()
    await eventually(() => expect(w.calls).toContain(`revoke ${name}`))
  })

  test('removes what is left of the dead', async () => {
    const w = world()
    const name = await issued(w)
    await w.ledger.revoke(name)
    w.clock.wall += 60_000
    w.source.list = [name]
    w.calls.length = 0
    w.ledger.sweep()
    // it may have come back to life with a server that was restored from a backup
    await eventually(() => expect(w.calls).toEqual([`revoke ${name}`, `clean ${name}`]))
    expect(w.leases.get(`${namespace}/${name}`)?.state).toBe('Revoked')
  })
})
