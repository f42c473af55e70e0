// Whether the policies that bind the operator are in force is tried by a write that only they forbid; no answer is not a yes, and it is asked
// for again at once, since nothing is issued meanwhile.

import { afterEach, expect, test } from '@jest/globals'
import { httpError, transportError } from '../../src/kube/errors.ts'
import { createStore } from '../../src/kube/store.ts'
import { seconds } from '../../src/lib/instant.ts'
import { fail, ok } from '../../src/lib/result.ts'
import { createChores } from '../../src/runtime/chores.ts'
import { type AdmissionObject, createFences } from '../../src/runtime/fences.ts'
import { entropy, heldClock, keepingLog, settled } from '../kube/support.ts'

const names = ['operator-fence', 'secret-guard', 'pod-label', 'task-status'].map((name) => `taskbound-${name}`)
const forbidden = fail(httpError(422, { message: "ValidatingAdmissionPolicy 'taskbound-operator-fence' denied request: not a task's" }))
const closing: (() => Promise<unknown>)[] = []
afterEach(() => Promise.all(closing.splice(0).map((close) => close())))

function world(installed = names) {
  const clock = heldClock()
  const [policies, bindings] = [createStore<AdmissionObject>(), createStore<AdmissionObject>()]
  for (const store of [policies, bindings]) {
    for (const [i, name] of installed.entries())
      store.observe('', {
        key: name,
        uid: name,
        resourceVersion: String(i + 1),
        value: { name, uid: name, generation: 1, createdAt: clock.now() },
      })
  }
  const asked: { readonly method: string; readonly query?: unknown }[] = []
  const api = { answer: forbidden as unknown }
  let changes = 0
  const fences = createFences({
    client: {
      request: async (options: (typeof asked)[number]) => {
        asked.push(options)
        return api.answer
      },
    } as never,
    policies,
    bindings,
    probeNamespace: 'default',
    document: { read: async () => ok({ value: {}, version: undefined }), write: async () => ok(undefined) } as never,
    clock,
    log: keepingLog(),
    changed: () => {
      changes += 1
    },
  })
  return { clock, policies, bindings, fences, asked, api, changes: () => changes }
}

test('what the fence refuses says that it is in force', async () => {
  const w = world()
  expect(w.fences.hold()?.message).toContain('they were not tried yet')
  expect(await w.fences.check()).toBe('answered')
  expect(w.fences.hold()).toBeUndefined()
  expect(w.asked).toEqual([expect.objectContaining({ method: 'POST', query: { dryRun: 'All' } })])
  expect(w.changes()).toBe(1)
})

test.each([
  ['a write that went through', ok({ body: {} }), 'went through', 'answered'],
  ['a refusal by somebody else', fail(httpError(403, { message: 'no rights' })), 'could not be tried', 'unanswered'],
  ['a server that is busy', fail(httpError(429, {})), 'could not be tried', 'unanswered'],
  ['a server that broke', fail(httpError(500, { message: 'internal' })), 'could not be tried', 'unanswered'],
  ['no answer', fail(transportError('timeout', 'no answer in 5 s', true)), 'could not be tried', 'unanswered'],
] as const)('%s holds all issuing, and the next refusal lets it go on', async (_what, answer, why, kind) => {
  const w = world()
  await w.fences.check()
  w.api.answer = answer
  expect(await w.fences.check()).toBe(kind)
  expect(w.fences.hold()).toMatchObject({ reason: 'FencesMissing', message: expect.stringContaining(why) })
  w.api.answer = forbidden
  expect(await w.fences.check()).toBe('answered')
  expect(w.fences.hold()).toBeUndefined()
})

test.each(names)('without %s nothing is issued, and nothing needs to be tried', async (name) => {
  const w = world(names.filter((one) => one !== name))
  expect(await w.fences.check()).toBe('answered')
  expect(w.fences.hold()?.message).toContain(`\`${name}\` or its binding is not installed`)
  expect(w.asked).toEqual([])
})

test('an answer is good for a minute; where there was none it is asked for again in a second', async () => {
  const w = world()
  w.api.answer = fail(httpError(500, {}))
  const chores = createChores({
    clock: w.clock,
    entropy,
    log: keepingLog(),
    timers: w.clock,
    watching: {
      providers: { store: createStore() },
      namespaceProviders: { store: createStore() },
      admissionPolicies: { store: w.policies },
      admissionBindings: { store: w.bindings },
    } as never,
    kinds: [],
    policies: {} as never,
    providers: {} as never,
    fences: w.fences,
    engine: { changedAt: () => w.clock.now() },
    triggers: { policies: () => undefined },
  })
  closing.push(() => chores.stop())
  chores.start()
  await settled()
  expect(w.asked).toHaveLength(1)
  await w.clock.advance(seconds(3))
  expect(w.asked).toHaveLength(4)
  w.api.answer = forbidden
  await w.clock.advance(seconds(1))
  expect(w.asked).toHaveLength(5)
  expect(w.fences.hold()).toBeUndefined()
  await w.clock.advance(seconds(59))
  expect(w.asked).toHaveLength(5)
  await w.clock.advance(seconds(2))
  expect(w.asked).toHaveLength(6)
})
