import { expect, test } from '@jest/globals'
import { systemClock, systemEntropy } from '../../src/config/system.ts'

test('the clock tells milliseconds, and its monotonic side never goes back', () => {
  expect(Math.abs(systemClock.now() - Date.now())).toBeLessThan(1_000)
  const times = Array.from({ length: 1_000 }, () => systemClock.monotonic())
  expect(times.every((time, i) => i === 0 || time >= (times[i - 1] ?? 0))).toBe(true)
})

test('randomness has the length that was asked for and does not repeat', () => {
  expect(systemEntropy.bytes(16)).toHaveLength(16)
  expect(Buffer.from(systemEntropy.bytes(16)).equals(systemEntropy.bytes(16))).toBe(false)
  expect(systemEntropy.uuid()).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  const unit = systemEntropy.unit()
  expect(unit >= 0 && unit < 1).toBe(true)
})
test('bytes that are drawn together are given to nobody twice, whatever is asked for', () => {
  const seen = new Set<string>()
  for (let i = 0; i < 5000; i += 1) {
    const bytes = systemEntropy.bytes([16, 32, 8, 300][i % 4] ?? 16)
    expect(bytes).toHaveLength([16, 32, 8, 300][i % 4] ?? 16)
    expect(bytes.some((byte) => byte !== 0)).toBe(true)
    seen.add(Buffer.from(bytes).toString('hex'))
  }
  expect(seen.size).toBe(5000)
})
