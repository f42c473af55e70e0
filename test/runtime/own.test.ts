// A watch tells of this replica's own status, often before the reply to the write: no reason to look at the task again. Anybody else's is.

import { expect, test } from '@jest/globals'
import type { Task } from '../../src/core/observed.ts'
import { createStore } from '../../src/kube/store.ts'
import { createDeparted } from '../../src/runtime/departed.ts'
import type { WriteStatus } from '../../src/runtime/effects/status.ts'
import { createOwnWrites } from '../../src/runtime/own.ts'
import { createTriggers } from '../../src/runtime/triggers.ts'
import type { Views } from '../../src/runtime/views.ts'
import { live, makeObserved, makeTask, open } from '../support/make.ts'

const task = makeTask({ record: open() })
const { report } = makeObserved({ task }).task

function world() {
  const tasks = createStore<Task>()
  const others = createStore<never>()
  const added: string[] = []
  const own = createOwnWrites()
  createTriggers({
    views: { tasks, agents: others, serviceAccounts: others, namespaces: others, pods: others } as unknown as Views,
    queue: { add: (key) => void added.push(key) },
    departed: createDeparted(),
    leads: () => true,
    isOwn: own.has,
  })
  let version = 0
  const see = (value: Task): void => {
    version += 1
    tasks.observe('', { key: task.key, uid: task.uid, resourceVersion: String(version), value })
  }
  see(task)
  added.length = 0
  return { own, see, added }
}

/** What the watch tells of while this is written. */
const writing = (w: ReturnType<typeof world>, told: Task): Promise<unknown> => {
  const write: WriteStatus = async () => {
    w.see(told)
    return { tag: 'done' }
  }
  const pass = { observed: makeObserved({ task }) } as Parameters<WriteStatus>[0]
  return w.own.noting(write)(pass, live(), report)
}

test('what is being written is no news, whoever tells of it first', async () => {
  const w = world()
  await writing(w, makeTask({ record: live() }))
  expect(w.added).toEqual([])
})

test('a status that somebody else writes meanwhile is, and so is one that comes back later', async () => {
  const w = world()
  await writing(w, makeTask({ record: { ...live(), attempt: 9 } }))
  expect(w.added).toEqual([task.key])
  w.see(makeTask({ record: live() }))
  expect(w.added).toEqual([task.key, task.key])
})

test('a change of what is asked for is news, whatever the status', async () => {
  const w = world()
  await writing(w, makeTask({ record: live(), generation: task.generation + 1 }))
  expect(w.added).toEqual([task.key])
})
