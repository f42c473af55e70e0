// A source that fails: its provider is taken out at once, so that nobody calls it in vain, one probe at a time asks for it, and what waited goes
// on when it answers. Only the source itself opens and closes this: a request that it refuses to one task says nothing about another's.

import { afterEach, expect, test } from '@jest/globals'
import { asUid } from '../../src/core/names.ts'
import type { Failure } from '../../src/core/observed.ts'
import { createStore } from '../../src/kube/store.ts'
import { seconds } from '../../src/lib/instant.ts'
import { fail, ok, type Result } from '../../src/lib/result.ts'
import type { Provider } from '../../src/ports/provider.ts'
import { createChores } from '../../src/runtime/chores.ts'
import { createHealth } from '../../src/runtime/ledger/health.ts'
import type { ProviderObject } from '../../src/runtime/objects/kinds.ts'
import { createProviderChecks } from '../../src/runtime/providers.ts'
import { entropy, heldClock, keepingLog, settled } from '../kube/support.ts'

const down: Result<never, Failure> = fail({ reason: 'ProviderUnreachable', message: 'the server refuses the connection' })
const refused: Result<never, Failure> = fail({ reason: 'IssueFailed', message: 'it refuses this task' })
const closing: (() => Promise<unknown>)[] = []
// a probe that hangs on a held clock is not waited for
afterEach(() => closing.splice(0).forEach((close) => void close()))

async function world() {
  const clock = heldClock()
  const log = keepingLog()
  const source = { down: false, probes: 0, underWay: 0, most: 0, calls: 0, slow: seconds(0) }
  const provider = {
    outside: {},
    async ready() {
      source.probes += 1
      source.underWay += 1
      source.most = Math.max(source.most, source.underWay)
      if (source.slow > 0) await new Promise<void>((resolve) => void clock.after(source.slow, resolve))
      source.underWay -= 1
      return source.down ? down : ok(undefined)
    },
  } as unknown as Provider<unknown>
  const store = createStore<ProviderObject>()
  const object = {
    kind: 'ClusterCredentialProvider',
    key: 'db',
    name: 'db',
    uid: asUid('db'),
    type: 'fake',
    params: {},
    createdAt: clock.now(),
    generation: 1,
    status: {},
  } as never as ProviderObject
  store.observe('', { key: 'db', uid: object.uid, resourceVersion: '2', value: object })
  const changed: string[] = []
  const checks = createProviderChecks({
    store,
    findProvider: () => provider,
    writes: {} as never,
    absorb: () => undefined,
    leads: () => false,
    clock,
    log,
    most: 10,
    well: async ({ uid, key }) => health.well(uid, key),
    changed: (name) => void changed.push(name),
  })
  const nothing = { subscribe: () => undefined }
  const chores = createChores({
    clock,
    entropy,
    log,
    timers: clock,
    watching: {
      providers: { store },
      namespaceProviders: { store: createStore() },
      admissionPolicies: { store: nothing },
      admissionBindings: { store: nothing },
    } as never,
    kinds: [],
    policies: {} as never,
    providers: checks,
    fences: { check: async () => undefined } as never,
    engine: { changedAt: () => clock.now() },
    triggers: { policies: () => undefined },
  })
  const health = createHealth({ check: chores.checkProvider, changed: (name) => void changed.push(name) })
  closing.push(() => chores.stop())
  chores.start()
  await checks.check('db')
  await settled()
  return {
    clock,
    source,
    changed,
    /** what an issue does: it is not made where the provider cannot issue */
    async issue(answer: Result<undefined, Failure> = source.down ? down : ok(undefined)) {
      const why = checks.notReady(object) ?? (health.stuck(object.uid) ? 'its source does not answer' : undefined)
      if (why !== undefined) return why
      source.calls += 1
      await health.run(object, async () => answer)
      return 'asked'
    },
    /** revocations ask whatever stands in the way of an issue */
    revoke: () => health.run(object, async () => (source.down ? down : ok(undefined))),
  }
}

test('after the first failures nobody calls it in vain: an issue is answered at once, with what is wrong', async () => {
  const w = await world()
  w.source.down = true
  for (let i = 0; i < 500; i += 1) {
    await w.issue()
    await w.clock.advance(seconds(0.1))
  }
  // those of the second in which the check comes
  expect(w.source.calls).toBeLessThanOrEqual(11)
  expect(await w.issue()).toBe('the server refuses the connection')
})

test('while it is down one probe at a time asks for it, every five seconds, however many call and however slow it is', async () => {
  const w = await world()
  w.source.down = true
  await w.issue()
  await w.clock.advance(seconds(2))
  const before = w.source.probes
  for (let i = 0; i < 60; i += 1) {
    await w.issue()
    await w.clock.advance(seconds(1))
  }
  expect(w.source.probes - before).toBeLessThanOrEqual(13)
  expect(w.source.probes - before).toBeGreaterThanOrEqual(10)
  w.source.slow = seconds(20)
  for (let i = 0; i < 60; i += 1) {
    await w.issue()
    await w.clock.advance(seconds(1))
  }
  expect([w.source.most, w.source.calls]).toEqual([1, 1])
})

test('revocations ask it all the same, and the first answer lets what waits go on', async () => {
  const w = await world()
  w.source.down = true
  await w.issue()
  await w.clock.advance(seconds(10))
  expect((await w.revoke()).ok).toBe(false)
  expect(await w.issue()).toBe('the server refuses the connection')
  w.changed.length = 0
  w.source.down = false
  expect((await w.revoke()).ok).toBe(true)
  await w.clock.advance(seconds(5))
  expect(w.changed).toEqual(['db'])
  expect(await w.issue()).toBe('asked')
})

test('what it refuses to one task keeps it from nobody else', async () => {
  const w = await world()
  for (let i = 0; i < 100; i += 1) {
    expect(await w.issue(refused)).toBe('asked')
    await w.clock.advance(seconds(1))
  }
  expect(await w.issue()).toBe('asked')
})
