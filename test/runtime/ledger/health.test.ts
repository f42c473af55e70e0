import { beforeEach, expect, jest, test } from '@jest/globals'
import { ok } from '../../../src/lib/result.ts'
import { createHealth } from '../../../src/runtime/ledger/health.ts'

const source = { uid: 'u', key: 'corp' }
let checked: string[]
let changed: string[]
let health: ReturnType<typeof createHealth>
beforeEach(() => {
  jest.useFakeTimers()
  checked = []
  changed = []
  health = createHealth({ check: (name) => void checked.push(name), changed: (name) => void changed.push(name) })
})

test('a source that answers nobody is stuck until it answers somebody', async () => {
  const silence = Promise.withResolvers<void>()
  const waits = health.run(source, () => silence.promise.then(() => ok(undefined)))
  await jest.advanceTimersByTimeAsync(500)
  expect([health.stuck('u'), checked, changed]).toEqual([true, ['corp'], []])
  await health.run(source, async () => ok(undefined))
  expect([health.stuck('u'), changed]).toEqual([false, ['corp']])
  silence.resolve()
  await waits
})

test('a source that keeps one waiting and answers others is not stuck, and nobody is told that it recovered', async () => {
  const silence = Promise.withResolvers<void>()
  const waits = health.run(source, () => silence.promise.then(() => ok(undefined)))
  await jest.advanceTimersByTimeAsync(200)
  await health.run(source, async () => ok(undefined))
  await jest.advanceTimersByTimeAsync(500)
  expect([health.stuck('u'), checked, changed]).toEqual([false, [], []])
  silence.resolve()
  await waits
})
