import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import {
  claims,
  type Debt,
  handleOf,
  handlePrefix,
  holds,
  isOpen,
  type Known,
  type Lease,
  mustLive,
  type Owner,
  owed,
} from '../../src/core/lease.ts'
import { asUid } from '../../src/core/names.ts'
import type { TaskRecord } from '../../src/core/observed.ts'
import { type Instant, plus, seconds } from '../../src/lib/instant.ts'
import { begun, live, makeLease, makeTask, open, outsideRecord, t0, time, uids, withdrawn } from '../support/make.ts'
import { anyLease, anyObserved } from '../support/world/observed.ts'

const { handle } = makeLease()
const credentials = [outsideRecord()]
const delivered = live({ credentials })
const intended = open({ credentials })
/** a stop has spent the next attempt */
const spent = live({ attempt: 2, credentials })
const over = { completedAt: time(50), completion: 'EndCancelled' } as const

describe('whether its source must show it alive', () => {
  const row = makeLease({ state: 'Issued' })
  test.each<readonly [string, Partial<Lease>, TaskRecord, boolean, boolean]>([
    ['pods hold it', {}, delivered, false, true],
    ['its row does not say so yet', { state: 'Intended' }, delivered, false, false],
    ['it is being revoked', { state: 'Revoking' }, delivered, false, false],
    ['it is dead', { state: 'Revoked' }, delivered, false, false],
    ['an administrator gave it up', { acknowledged: 'scrapped' }, delivered, false, false],
    ['a pass has decided that it dies', {}, delivered, true, false],
    ['a stop has spent the next attempt', {}, spent, false, false],
    ['its Secret was never confirmed', {}, intended, false, false],
    ['its task is over', {}, live({ ...over, credentials }), false, false],
    ['its record says that it is dead', {}, live({ credentials: [outsideRecord({ revokedAt: t0 })] }), false, false],
    ['it expires in half a minute', {}, live({ credentials: [outsideRecord({ expiresAt: time(90) })] }), false, false],
    ['it expires a little later', {}, live({ credentials: [outsideRecord({ expiresAt: time(91) })] }), false, true],
    ['another task has the name', { task: { ...row.task, uid: asUid('task-2') } }, delivered, false, false],
  ])('%s', (_name, change, record, doomed, must) => {
    expect(mustLive({ ...row, ...change }, makeTask({ record }), doomed, time(60))).toBe(must)
  })
})

describe('whether a record claims a handle, and holds it', () => {
  test.each<readonly [string, TaskRecord, boolean, boolean]>([
    ['nothing issued', begun(), false, false],
    ['an open intent', intended, true, true],
    ['an open intent of a later attempt, after one that is not confirmed', open({ attempt: 2, credentials }), false, false],
    ['delivered', delivered, true, true],
    [
      'delivered, and renewals since were overtaken',
      live({ attempt: 3, secret: { name: 's', uid: uids.secret, attempt: 3 }, credentials }),
      true,
      true,
    ],
    ['delivered, and spent by a stop', spent, false, false],
    ['withdrawn', withdrawn({ credentials }), false, false],
    ['delivered, under another handle', live({ credentials: [outsideRecord({ handle: 'another' })] }), false, false],
    ['delivered and expired', live({ credentials: [outsideRecord({ expiresAt: time(60) })] }), true, false],
    ['an open intent that expired', open({ credentials: [outsideRecord({ expiresAt: time(60) })] }), true, false],
    ['delivered and revoked', live({ credentials: [outsideRecord({ revokedAt: t0 })] }), false, false],
    ['over', live({ ...over, credentials }), false, false],
  ])('%s', (_name, record, claimed, held) => {
    expect(claims(record, handle)).toBe(claimed)
    expect(holds(record, handle, time(60))).toBe(held)
  })
})

describe('what is owed to a row', () => {
  const present = (record: TaskRecord, uid = uids.task): Owner => ({ state: 'present', task: makeTask({ record, uid }) })
  const gone: Owner = { state: 'gone' }
  const unknown: Owner = { state: 'unknown' }
  const wait = (until: Instant | undefined, known?: Known): Debt => ({ do: 'wait', until, known })
  const day = plus(time(60), seconds(86_400))
  const dead = { state: 'Revoked', closedAt: time(60) } as const
  const known = { issuedAt: t0, expiresAt: time(600) }
  const told = { state: 'Issued', ...known } as const

  test.each<readonly [string, Partial<Lease>, Owner, Instant, Debt]>([
    ['an intent whose task holds it', {}, present(intended), time(60), wait(time(600))],
    ['an intent that is delivered by now', {}, present(delivered), time(60), { do: 'wait', until: time(600), known }],
    ['issued, and the row says so', told, present(delivered), time(60), wait(time(600))],
    ['renewed, and the row does not say so yet', { ...told, expiresAt: time(500) }, present(delivered), time(60), wait(time(600), known)],
    [
      'a row that was issued keeps when',
      { issuedAt: time(1) },
      present(delivered),
      time(60),
      wait(time(600), { ...known, issuedAt: time(1) }),
    ],
    ['expired: somebody may be renewing it', told, present(delivered), time(600), { do: 'revoke', announced: true }],
    ['stopped', told, present(spent), time(60), { do: 'revoke' }],
    ['withdrawn', told, present(withdrawn({ credentials })), time(60), { do: 'revoke' }],
    ['over', told, present(live({ ...over, credentials })), time(60), { do: 'revoke' }],
    [
      'overtaken by a later attempt',
      told,
      present(live({ attempt: 2, credentials: [outsideRecord({ handle: 'later' })] })),
      time(60),
      { do: 'revoke' },
    ],
    ['ahead of its record, for a minute', { attempt: 2 }, present(begun({ attempt: 1 })), time(59), wait(time(60))],
    ['ahead of its record for too long', { attempt: 2 }, present(begun({ attempt: 1 })), time(60), { do: 'revoke', announced: true }],
    ['of another task of that name', {}, present(delivered, asUid('task-2')), time(1), { do: 'revoke' }],
    ['its task is gone', told, gone, time(1), { do: 'revoke' }],
    ['its task is not known', told, unknown, time(1), { do: 'ask' }],
    ['revoking', { state: 'Revoking' }, present(delivered), time(1), { do: 'revoke' }],
    ['revoking, its task is not known', { state: 'Revoking' }, unknown, time(1), { do: 'revoke' }],
    ['given up', { ...told, acknowledged: 'no such server' }, present(delivered), time(1), { do: 'giveUp', reason: 'no such server' }],
    ['given up while it is revoked', { state: 'Revoking', acknowledged: 'why' }, gone, time(1), { do: 'giveUp', reason: 'why' }],
    ['dead, for a day', dead, gone, plus(day, seconds(-1)), wait(day)],
    ['dead for a day, its task is there', dead, present(delivered), day, wait(undefined)],
    ['dead for a day, its task is not known', dead, unknown, day, { do: 'ask' }],
    ['dead for a day, its task is gone', dead, gone, day, { do: 'forget' }],
    ['expired for a day, its task is gone', { ...dead, state: 'Expired' }, gone, day, { do: 'forget' }],
    ['irrevocable for a day, its task is gone', { ...dead, state: 'Irrevocable' }, gone, day, { do: 'forget' }],
    ['dead without a time counts from when it was made', { state: 'Revoked' }, gone, plus(t0, seconds(86_400)), { do: 'forget' }],
    ['dead, and acknowledged too late', { ...dead, acknowledged: 'why' }, gone, time(61), wait(day)],
  ])('%s', (_name, over, owner, now, debt) => {
    expect(owed(makeLease(over), owner, false, now)).toEqual(debt)
  })

  test('what a pass has doomed dies, whatever the record says, unless it is dead or given up', () => {
    for (const owner of [present(delivered), present(intended), gone, unknown]) {
      expect(owed(makeLease(), owner, true, time(1))).toEqual({ do: 'revoke' })
      expect(owed(makeLease(told), owner, true, time(1))).toEqual({ do: 'revoke' })
    }
    expect(owed(makeLease(dead), gone, true, time(61))).toEqual(wait(day))
    expect(owed(makeLease({ acknowledged: 'why' }), gone, true, time(1))).toEqual({ do: 'giveUp', reason: 'why' })
  })

  test('whatever row, task and time: it is left alone only while a record says that it is held, or may be about to', () => {
    fc.assert(
      fc.property(anyLease, anyObserved, fc.boolean(), fc.integer({ min: 0, max: 900 }), (lease, { task }, doomed, at) => {
        const debt = owed(lease, { state: 'present', task }, doomed, time(at))
        if (!isOpen(lease)) return expect(['wait', 'forget']).toContain(debt.do)
        if (lease.acknowledged !== undefined) return expect(debt.do).toBe('giveUp')
        const over = task.record.completedAt !== undefined
        const ahead = !over && lease.attempt > task.record.attempt && time(at) < plus(lease.effectBy, seconds(30))
        const mine = lease.task.uid === task.uid && (ahead || holds(task.record, lease.handle, time(at)))
        expect(debt.do).toBe(!doomed && lease.state !== 'Revoking' && mine ? 'wait' : 'revoke')
        if (debt.do === 'wait') expect(debt.until).toBeGreaterThan(time(at))
      }),
      { numRuns: 2000, seed: 20_261_102 },
    )
  })

  test('a row goes only when nobody can ask for it any more: dead or given up for a day, and its task gone', () => {
    const owner = fc.constantFrom(gone, unknown, present(delivered))
    fc.assert(
      fc.property(anyLease, owner, fc.boolean(), fc.integer({ min: 0, max: 200_000 }), (lease, owner, doomed, at) => {
        if (owed(lease, owner, doomed, time(at)).do !== 'forget') return
        expect(isOpen(lease)).toBe(false)
        expect(owner.state).toBe('gone')
        expect(time(at)).toBeGreaterThanOrEqual(plus(lease.closedAt ?? lease.createdAt, seconds(86_400)))
      }),
      { numRuns: 2000, seed: 20_261_102 },
    )
  })
})

describe('a handle', () => {
  const prefix = handlePrefix('6a8f0c1e-0000-4000-8000-000000000001', 'taskbound-system')

  test('has 38 characters that no source cuts, folds or quotes, and begins with those of its installation', () => {
    expect(prefix).toMatch(/^tb[a-z2-7]{10}$/)
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.nat(), (uid, credential, attempt) => {
        const made = handleOf(prefix, asUid(uid), credential, attempt)
        expect(made).toMatch(/^[a-z2-7]{38}$/)
        expect(made.startsWith(prefix)).toBe(true)
        expect(handleOf(prefix, asUid(uid), credential, attempt)).toBe(made)
      }),
    )
  })

  test('is the same in every release: rows and roles of an older one are found', () => {
    expect(handlePrefix('cluster', 'taskbound-system')).toBe('tb2x6yag5u7c')
    expect(handleOf(prefix, asUid('task-1'), 'db', 1)).toBe('tbhlsx2zzyoslt2xuqmrtlwjtr5syxt5d6q4ko')
  })

  test('of another cluster or another namespace begins differently, also where the two texts joined are the same', () => {
    const prefixes = [
      ['ab', 'c'],
      ['a', 'bc'],
      ['abc', ''],
      ['', 'abc'],
      ['2:ab', 'c'],
    ].map(([a = '', b = '']) => handlePrefix(a, b))
    expect(new Set(prefixes).size).toBe(prefixes.length)
  })

  test('is given to one task, credential and attempt: none of 100,000 collide, also where their texts joined are the same', () => {
    const adversarial: (readonly [string, string, number])[] = []
    for (const uid of ['a', 'ab', 'a1', '1:a', 'a:b', '', 'ä'])
      for (const credential of ['b', 'b1', 'b11', '1b', '', ':', '1:b', 'bä'])
        for (const attempt of [0, 1, 11, 111, 1111]) adversarial.push([uid, credential, attempt])
    const triples = [...adversarial]
    for (let i = 0; triples.length < 100_000; i += 1)
      triples.push([`task-${i % 997}`, `c${i % 101}`, Math.floor(i / 997) * 100 + (i % 100)])
    const distinct = new Set(triples.map((t) => JSON.stringify(t)))
    const handles = new Set(
      [...distinct].map((t) => JSON.parse(t) as (typeof triples)[0]).map(([u, c, n]) => handleOf(prefix, asUid(u), c, n)),
    )
    expect(distinct.size).toBeGreaterThan(99_000)
    expect(handles.size).toBe(distinct.size)
  })
})
