import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { at, plus, seconds } from '../../src/lib/instant.ts'
import { type Census, createCensus } from '../../src/telemetry/census.ts'
import type { CredentialRow, TaskRow } from '../../src/telemetry/snapshot.ts'
import { credential, start, taskRow } from './make.ts'

const caps = { namespaces: 200, providers: 50 }
/** What a census says, without the order in which it came to say it. */
const said = (census: Census, now = at(start)) => ({
  sums: census.sum(now, caps),
  waiting: [...census.waiting()].map(({ reason, since }) => `${reason} ${since}`).sort(),
  deleting: [...census.deleting()].sort(),
})

const credentials = fc.array(
  fc.record({
    name: fc.constant('api'),
    provider: fc.constantFrom('corp', 'db'),
    state: fc.constantFrom('Live', 'Pending', 'Revoking'),
    lasting: fc.boolean(),
    expiresAt: fc.option(
      fc.integer({ min: -50, max: 400 }).map((s) => at(start + s * 1_000)),
      { nil: undefined },
    ),
    overdueAt: fc.constant(undefined),
  }) satisfies fc.Arbitrary<CredentialRow>,
  { maxLength: 3 },
)
const rows: fc.Arbitrary<TaskRow> = fc.record({
  namespace: fc.constantFrom('a', 'b'),
  name: fc.constantFrom('x', 'y', 'z'),
  state: fc.constantFrom('Active', 'Pending', 'Denied'),
  waiting: fc.option(fc.record({ reason: fc.constantFrom('Waiting', 'IssueFailed'), since: fc.constantFrom(at(start), at(start - 9)) }), {
    nil: undefined,
  }),
  deletedAt: fc.option(fc.constant(at(start)), { nil: undefined }),
  credentials,
})

test('after any changes it says the same as a census of what is there, at any time', () => {
  const steps = fc.array(fc.record({ row: rows, gone: fc.boolean() }), { maxLength: 60 })
  fc.assert(
    fc.property(steps, fc.integer({ min: 0, max: 500 }), (changes, later) => {
      const census = createCensus()
      const there = new Map<string, TaskRow>()
      for (const { row, gone } of changes) {
        const key = `${row.namespace}/${row.name}`
        const before = there.get(key)
        if (gone && before === undefined) continue
        census.change(before, gone ? undefined : row)
        if (gone) there.delete(key)
        else there.set(key, row)
      }
      const fresh = createCensus()
      for (const row of there.values()) fresh.change(undefined, row)
      const now = plus(at(start), seconds(later))
      expect(said(census, now)).toEqual(said(fresh, now))
    }),
  )
})

describe('time alone changes what it says', () => {
  const census = createCensus()
  census.change(undefined, taskRow('a', [credential(30), credential(30, { lasting: true }), credential(90), credential(undefined)]))
  const at30 = (left: number) =>
    census
      .sum(at(start + left * 1_000), caps)
      .get('a')
      ?.providers.get('corp')

  test.each([
    ['before anything expired', 0, 4, [2, 3, 3, 3, 3], 30],
    ['at the moment of the first, which then works no more', 30, 3, [1, 1, 1, 1, 1], 90],
    ['when all have expired, of which one may live on and one has no end', 100, 2, [0, 0, 0, 0, 0], Number.POSITIVE_INFINITY],
  ])('%s', (_, passed, alive, expiring, next) => {
    const sum = at30(passed)
    expect(sum?.states).toEqual(new Map([['Live', alive]]))
    expect(sum?.expiring).toEqual(expiring)
    expect(sum?.next).toBe(Number.isFinite(next) ? start + next * 1_000 : next)
  })
})

test('what is gone leaves nothing', () => {
  const census = createCensus()
  const row = taskRow('a', [credential(30)], { waiting: { reason: 'Waiting', since: at(start) }, deletedAt: at(start) })
  census.change(undefined, row)
  census.change(row, undefined)
  expect(said(census)).toEqual({ sums: new Map(), waiting: [], deleting: [] })
})
