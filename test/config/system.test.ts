import { expect, test } from '@jest/globals'
import { systemEntropy } from '../../src/config/system.ts'

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
