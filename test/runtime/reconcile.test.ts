// What is owed for tasks that are gone: nothing dies on a list's word alone, and a successor waits for what its namesake left.

import { expect, test } from '@jest/globals'
import { asUid } from '../../src/core/names.ts'
import type { Presence, Task } from '../../src/core/observed.ts'
import type { Effect, Performed } from '../../src/core/plan.ts'
import { createStore } from '../../src/kube/store.ts'
import { at, milliseconds } from '../../src/lib/instant.ts'
import { noTracer } from '../../src/ports/tracer.ts'
import type { Apply } from '../../src/runtime/apply.ts'
import { createDeparted } from '../../src/runtime/departed.ts'
import { createReconcile } from '../../src/runtime/reconcile.ts'
import type { Views } from '../../src/runtime/views.ts'
import { makeObserved, makeTask } from '../support/make.ts'
import { liveRecord } from './make.ts'

const task: Task = makeTask({ record: liveRecord })

function world(live: Presence) {
  const tasks = createStore<Task>()
  const departed = createDeparted()
  const log: string[] = []
  const apply: Apply = async ({ plan }) => {
    for (const effect of plan.effects) log.push(`${effect.tag}${effect.tag === 'Withdraw' ? ` ${effect.uid}` : ''}`)
    const made = (effect: Effect): boolean => effect.tag === 'Withdraw' || effect.tag === 'Revoke'
    return plan.effects.map(
      (effect): Performed => ({
        effect,
        outcome: made(effect) ? { tag: 'done', fact: { of: effect.tag === 'Withdraw' ? 'Withdraw' : 'Revoke' } } : { tag: 'lost' },
      }),
    )
  }
  const unused = (): never => {
    throw new Error('not to be called here')
  }
  const reconcile = createReconcile({
    tracer: noTracer,
    views: { tasks } as unknown as Views,
    departed,
    doubt: { task: async () => live, agent: unused, serviceAccount: unused, workload: unused },
    forget: (uid) => void log.push(`forget ${uid}`),
    gather: async (asked) => makeObserved({ task: asked }),
    apply,
    writeStatus: async () => ({ tag: 'done' }),
    takeBack: async () => 'nothing written',
    tell: () => undefined,
    clock: { now: () => at(task.createdAt), monotonic: () => milliseconds(0) },
    log: { warn: () => undefined },
    meter: { reconciled: () => undefined },
  })
  return { tasks, departed, log, reconcile }
}

test('a deletion that somebody saw is acted upon without a question', async () => {
  const { departed, log, reconcile } = world({ state: 'unknown' })
  departed.add(task, false)
  await expect(reconcile(task.key)).resolves.toMatchObject({ again: 'none' })
  expect(log).toEqual([`forget ${task.uid}`, `Withdraw ${liveRecord.secret?.uid}`, 'Revoke'])
  expect(departed.get(task.key)).toBeUndefined()
})

test.each([
  ['is there after all: nothing dies', { state: 'present', uid: task.uid }, [], 'none', false],
  ['cannot be asked for: nothing dies, and it is asked again', { state: 'unknown' }, [], 'backoff', true],
  ['is gone: it dies', { state: 'absent' }, [`forget ${task.uid}`, `Withdraw ${liveRecord.secret?.uid}`, 'Revoke'], 'none', false],
  [
    'was replaced: it dies',
    { state: 'present', uid: asUid('other') },
    [`forget ${task.uid}`, `Withdraw ${liveRecord.secret?.uid}`, 'Revoke'],
    'none',
    false,
  ],
] as const)('a task that a list did not have and that %s', async (_name, live, expected, again, kept) => {
  const { departed, log, reconcile } = world(live as Presence)
  departed.add(task, true)
  await expect(reconcile(task.key)).resolves.toMatchObject({ again })
  expect(log).toEqual(expected)
  expect(departed.get(task.key) !== undefined).toBe(kept)
})

test('what a namesake left is cleared before its successor is looked at', async () => {
  const { tasks, departed, log, reconcile } = world({ state: 'unknown' })
  departed.add(task, true)
  const successor = { ...makeTask(), uid: asUid('successor') }
  tasks.observe('', { key: task.key, uid: successor.uid, resourceVersion: '9', value: successor })
  await expect(reconcile(task.key)).resolves.toMatchObject({ again: 'now' })
  expect(log).toEqual([`forget ${task.uid}`, `Withdraw ${liveRecord.secret?.uid}`, 'Revoke'])
  log.length = 0
  await reconcile(task.key)
  expect(log).toEqual(['RecordIntent', 'Issue'])
})

test('a task of which nothing was issued leaves nothing behind', () => {
  const { departed } = world({ state: 'unknown' })
  departed.add(makeTask(), false)
  expect([...departed.keys()]).toEqual([])
})
