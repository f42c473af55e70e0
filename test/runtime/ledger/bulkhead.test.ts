import { afterEach, beforeEach, expect, jest, test } from '@jest/globals'
import { createBulkhead } from '../../../src/runtime/ledger/bulkhead.ts'

beforeEach(() => void jest.useFakeTimers())
afterEach(() => void jest.useRealTimers())

test('calls that wait for long are told of, of whichever provider, until they are over', async () => {
  const told: number[] = []
  const bulkhead = createBulkhead(2, (count) => void told.push(count))
  const silence = Promise.withResolvers<string>()
  const calls = ['a', 'b'].map((provider) => bulkhead(provider, () => silence.promise))
  await bulkhead('a', async () => 'quick')
  await jest.advanceTimersByTimeAsync(399)
  expect(told).toEqual([])
  await jest.advanceTimersByTimeAsync(1)
  expect(told).toEqual([1, 2])
  silence.resolve('late')
  expect(await Promise.all(calls)).toEqual(['late', 'late'])
  expect(told).toEqual([1, 2, 1, 0])
})

test('no more than so many calls to one provider are under way, and who finds no room in a moment is told so', async () => {
  const bulkhead = createBulkhead(1)
  const silence = Promise.withResolvers<string>()
  const first = bulkhead('a', () => silence.promise)
  const second = bulkhead('a', async () => 'never')
  expect(await bulkhead('b', async () => 'other')).toBe('other')
  await jest.advanceTimersByTimeAsync(50)
  expect(await second).toBeUndefined()
  silence.resolve('late')
  expect(await first).toBe('late')
})
