import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { createLineSplitter } from '../../src/kube/lines.ts'

test('lines come out whole, wherever the stream was cut into chunks', () => {
  const line = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }).filter((text) => !text.includes('\n'))
  fc.assert(
    fc.property(fc.array(line), fc.array(fc.integer({ min: 1, max: 9 })), (lines, cuts) => {
      const bytes = Buffer.from(lines.map((text) => `${text}\n`).join(''))
      const splitter = createLineSplitter(1000)
      const seen: string[] = []
      for (let start = 0, n = 0; start < bytes.length; n++) {
        const end = start + (cuts[n % Math.max(1, cuts.length)] ?? 5)
        for (const one of splitter.push(bytes.subarray(start, end)) ?? []) seen.push(one.toString('utf8'))
        start = end
      }
      expect(seen).toEqual(lines)
    }),
  )
})

test('an unfinished line is not handed out, and one without end is refused', () => {
  const splitter = createLineSplitter(10)
  expect(splitter.push(Buffer.from('\n\n12345'))).toEqual([])
  expect(splitter.push(Buffer.from('6789012'))).toBeUndefined()
})
