import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { decide } from '../../src/core/decide.ts'
import { questions } from '../../src/core/judge.ts'
import { claims } from '../../src/core/lease.ts'
import type { Observed } from '../../src/core/observed.ts'
import type { Effect, Outcome, Plan } from '../../src/core/plan.ts'
import { isAlive, isLive, liveStatusRefs, phase } from '../../src/core/record.ts'
import { at, type Instant, milliseconds, minus, plus, seconds } from '../../src/lib/instant.ts'
import { makeDecision, t0 } from '../support/make.ts'
import { begin, run, scenario } from '../support/world/commands.ts'
import { interleavings } from '../support/world/interleavings.ts'
import { anyObserved } from '../support/world/observed.ts'
import { describeWorld } from '../support/world/oracle.ts'
import { runPass, success } from '../support/world/pass.ts'
import { comeToRest } from '../support/world/quiet.ts'
import { createWorld } from '../support/world/world.ts'

/** Mostly within the life of what was issued, sometimes around the deadline and past it. */
const now: fc.Arbitrary<Instant> = fc
  .oneof({ weight: 4, arbitrary: fc.integer({ min: 0, max: 900_000 }) }, { weight: 1, arbitrary: fc.integer({ min: 0, max: 4_000_000 }) })
  .map((ms) => at(t0 + ms))
/** The same worlds on every machine; another seed looks at others. */
const seed = 20_261_102
const check = <T extends [unknown, ...unknown[]]>(numRuns: number, property: fc.IProperty<T>, examples: T[] = []) =>
  fc.assert(property, { numRuns, seed, examples })

const tags = (plan: Plan): readonly Effect['tag'][] => plan.effects.map((e) => e.tag)
const makes = (plan: Plan): boolean => plan.effects.some((e) => e.tag === 'Issue' || e.tag === 'Renew')
/** What the plan kills outside the cluster. */
const handles = (plan: Plan): readonly string[] =>
  plan.effects.flatMap((e) => (e.tag === 'RevokeLease' ? [e.lease.handle] : e.tag === 'Revoke' ? [e.credential.handle ?? ''] : []))
const quiet = (passed: ReturnType<typeof runPass>, before: Observed): void => {
  expect(tags(passed.plan)).toEqual([])
  expect(passed.settled.record).toEqual(before.task.record)
  expect(passed.settled.report).toEqual(before.task.report)
}

/** Passes until nothing is left to do, each effect succeeding; a task that was deleted is gone. */
function converge(
  observed: Observed,
  time: Instant,
): { readonly next: Observed; readonly wakeAt: Instant | undefined; readonly passes: number } {
  let next = observed
  for (let passes = 1; passes <= 5; passes += 1) {
    const passed = runPass(next, time)
    next = passed.next
    if (tags(passed.plan).includes('DeleteTask')) next = { ...next, task: { ...next.task, gone: true } }
    else if (passed.settled.again !== 'now' && tags(passed.plan).length === 0) return { next, wakeAt: passed.settled.wakeAt, passes }
  }
  throw new Error('no end of effects')
}

const inHand: Outcome = { tag: 'pending', failure: { reason: 'RevocationUnconfirmed', message: 'being revoked' } }

describe('whatever is observed', () => {
  test('nothing is issued or renewed unless everything allows it, and nothing is issued whose intent is not recorded before', () => {
    check(
      1500,
      fc.property(anyObserved, now, (observed, time) => {
        const plan = decide(observed, time)
        if (!makes(plan)) return
        const { task, agent, hold } = observed
        const { standing } = questions({ task: { ...task, record: plan.record } }, time)
        const renews = tags(plan).includes('Renew')
        for (const { provider, issue, renew } of observed.credentials) {
          expect(provider).toMatchObject({ state: 'present', refusal: undefined, notReady: undefined })
          expect(standing === 'issue' ? issue?.outcome : renew?.outcome).toBe('allow')
          if (renews) expect(renew?.outcome).toBe('allow')
        }
        expect([task.deleting, task.gone, task.spec.suspend, task.spec.end, hold]).toEqual([false, false, false, undefined, undefined])
        expect(agent).toMatchObject({ state: 'present', suspended: false })
        expect(observed.namespace).toBe('active')
        expect(time).toBeLessThan(plan.record.deadlineAt ?? 0)
        if (renews) return
        expect(tags(plan)).toEqual(['RecordIntent', 'Issue'])
        const open = observed.leases.filter((l) => l.open)
        expect(open.filter((l) => l.expiring !== true)).toEqual([])
        for (const { attempt = 0 } of open)
          expect(attempt).toBeLessThan(plan.effects[0]?.tag === 'RecordIntent' ? plan.effects[0].record.attempt : 0)
        const [intent, issue] = plan.effects
        if (intent?.tag !== 'RecordIntent' || issue?.tag !== 'Issue') return
        expect(intent.record.attempt).toBe(issue.attempt)
        expect(issue.attempt).toBeGreaterThan(task.record.attempt)
        expect(intent.record.credentials.map((c) => c.name)).toEqual(issue.orders.map((o) => o.name))
      }),
    )
  })

  test('an expiry never exceeds the least of deadline, asked life and ceiling, unless the provider cannot give less', () => {
    check(
      1500,
      fc.property(anyObserved, now, (observed, time) => {
        const plan = decide(observed, time)
        for (const effect of plan.effects) {
          if (effect.tag !== 'Issue' && effect.tag !== 'Renew') continue
          for (const order of effect.orders) {
            const spec = observed.task.spec.credentials.find((c) => c.name === order.name)
            const provider = observed.credentials.find((c) => c.name === order.name)?.provider
            if (spec === undefined || provider?.state !== 'present') throw new Error('ordered without a provider')
            const bound = Math.min(plan.record.deadlineAt ?? 0, time + Math.min(spec.ttl, provider.maxTtl))
            expect(order.expiresAt).toBeLessThanOrEqual(Math.max(bound, plus(time, provider.leastLife)))
          }
        }
      }),
    )
  })

  test('what is over or stopped is withdrawn and revoked in the same plan, and nothing of it reads valid afterwards', () => {
    check(
      1500,
      fc.property(anyObserved, now, (observed, time) => {
        const { plan, settled } = runPass(observed, time)
        if (plan.standing.kind !== 'ended' && plan.standing.kind !== 'stopped') return
        const { record } = observed.task
        expect(makes(plan)).toBe(false)
        expect(tags(plan).filter((t) => t === 'Withdraw')).toHaveLength(phase(record) === 'none' ? 0 : 1)
        expect(plan.effects.flatMap((e) => (e.tag === 'Revoke' ? [e.credential.name] : []))).toEqual(
          plan.record.credentials.filter((c) => isAlive(c, time)).map((c) => c.name),
        )
        expect(handles(plan)).toEqual(expect.arrayContaining(observed.leases.filter((l) => l.open).map((l) => l.handle)))
        expect(liveStatusRefs(settled.record)).toEqual([])
      }),
    )
  })

  test('what an earlier attempt may have made outside dies before the next begins, and its attempt is spent before that', () => {
    check(
      1500,
      fc.property(anyObserved, now, (observed, time) => {
        const plan = decide(observed, time)
        if (plan.standing.kind !== 'clear' || !tags(plan).includes('RevokeLease')) return
        const open = observed.leases.filter((l) => l.open)
        expect(makes(plan)).toBe(false)
        expect(handles(plan)).toEqual(open.filter((l) => l.expiring !== true).map((l) => l.handle))
        const [first] = plan.effects
        const written = first?.tag === 'RecordIntent' ? first.record : plan.record
        for (const { handle, attempt = 0 } of open) {
          expect(claims(written, handle)).toBe(false)
          expect(attempt).toBeLessThan(written.attempt)
        }
      }),
    )
  })

  test('what its row says is dead is never taken for live: in the end all that is live has no dead row', () => {
    check(
      1500,
      fc.property(anyObserved, now, (observed, time) => {
        const { task, leases } = converge(observed, time).next
        const dead = leases.filter((l) => l.dead === true).map((l) => l.handle)
        const ready = task.report.conditions.find((c) => c.type === 'Ready')
        if (ready?.status !== 'True') return
        for (const { handle } of task.record.credentials) expect(dead).not.toContain(handle)
      }),
    )
  })

  test('Revoked is True only when every row of the task is dead, also while the ledger still works on some', () => {
    check(
      3000,
      fc.property(anyObserved, now, fc.infiniteStream(fc.boolean()), (observed, time, ready) => {
        const { next, settled } = runPass(observed, time, (effect) =>
          (effect.tag === 'Revoke' || effect.tag === 'RevokeLease') && ready.next().value !== true ? inHand : success(effect),
        )
        const revoked = settled.report.conditions.find((c) => c.type === 'Revoked')
        if (revoked?.status !== 'True' || settled.record.attempt === 0) return
        expect(next.leases.filter((l) => l.dead !== true)).toEqual([])
        expect(next.task.record.credentials.filter((c) => isAlive(c, time))).toEqual([])
      }),
    )
  })

  test('a forbid stops at once', () => {
    check(
      1500,
      fc.property(anyObserved, now, (observed, time) => {
        const { standing } = questions(observed, time)
        const forbids = observed.credentials.some(
          (c) => c.provider.state === 'present' && c.provider.refusal === undefined && c[standing]?.outcome === 'forbid',
        )
        const plan = decide(observed, time)
        const unknown =
          plan.standing.kind === 'blocked' && plan.judgement.kind === 'denied' && plan.standing.reason !== plan.judgement.reason
        if (forbids && !unknown) expect(['ended', 'stopped']).toContain(plan.standing.kind)
      }),
    )
  })

  test('a lost permit leaves what is live until it has settled, and not longer', () => {
    check(
      1500,
      fc.property(anyObserved, fc.integer({ min: 0, max: 900_000 }), fc.integer({ min: -10_000, max: 10_000 }), (observed, ms, since) => {
        const time = at(t0 + ms)
        const before = { ...observed, policyChangedAt: minus(time, milliseconds(since)) }
        const { standing, record } = decide(before, time)
        if (!isLive(record, time) || standing.kind !== 'clear') return
        const lost = { ...before, credentials: observed.credentials.map((c) => ({ ...c, issue: makeDecision('noPermit') })) }
        const plan = decide(lost, time)
        const settling = since >= 0 && since < observed.limits.policySettle
        expect(plan.standing.kind).toBe(settling ? 'blocked' : 'stopped')
        expect(tags(plan).includes('Withdraw')).toBe(!settling)
      }),
    )
  })

  test('an end is final: it never issues again, whatever the facts and the clock do', () => {
    check(
      1500,
      fc.property(anyObserved, anyObserved, now, now, (first, later, time, other) => {
        const ended = decide({ ...first, task: { ...first.task, deleting: true } }, time)
        const task = { ...later.task, record: ended.record, uid: first.task.uid }
        const plan = decide({ ...later, task, leases: first.leases }, other)
        expect(plan.standing.kind).toBe('ended')
        expect(tags(plan)).not.toContain('RecordIntent')
        expect(makes(plan)).toBe(false)
        expect(plan.record).toEqual(ended.record)
      }),
    )
  })

  test('a few passes are enough, and one more changes nothing', () => {
    check(
      1500,
      fc.property(anyObserved, now, (observed, time) => {
        const { next, passes } = converge(observed, time)
        expect(passes).toBeLessThanOrEqual(4)
        quiet(runPass(next, time), next)
      }),
    )
  })

  test('it asks to be woken in the future, and before that time alone changes nothing', () => {
    check(
      2000,
      fc.property(anyObserved, now, fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), (observed, time, part) => {
        const { next, wakeAt } = converge(observed, time)
        if (wakeAt !== undefined) expect(wakeAt).toBeGreaterThan(time)
        const until = wakeAt ?? plus(time, seconds(100_000))
        const between = at(time + Math.floor(part * (until - time)))
        quiet(runPass(next, between), next)
      }),
    )
  })

  test('the order of what is listed does not matter', () => {
    check(
      500,
      fc.property(anyObserved, now, (observed, time) => {
        const turned = observed.credentials.toReversed().map((c) => ({
          ...c,
          issue: c.issue === undefined ? undefined : { ...c.issue, policies: c.issue.policies.toReversed() },
          renew: c.renew === undefined ? undefined : { ...c.renew, policies: c.renew.policies.toReversed() },
        }))
        const report = { ...observed.task.report, conditions: observed.task.report.conditions.toReversed() }
        expect(decide({ ...observed, task: { ...observed.task, report }, credentials: turned }, time)).toEqual(decide(observed, time))
        expect(decide(observed, time)).toEqual(decide(observed, time))
      }),
    )
  })
})

test('two replicas with caches of their own ages, pauses, lost and late answers, crashes: everything comes to rest as it should', () => {
  check(
    10_000,
    fc.property(scenario, fc.nat(1), (scene, survivor) => {
      const world = createWorld()
      begin(world, scene)
      for (const command of scene.commands) run(world, scene, command)
      const wrong = comeToRest(world, survivor)
      if (wrong.length > 0) throw new Error(['', ...world.log, describeWorld(world), '', ...wrong].join('\n'))
    }),
    interleavings.map(([scene, survivor]) => [scene, survivor]),
  )
}, 180_000)
