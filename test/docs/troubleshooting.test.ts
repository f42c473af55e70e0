// The page has a word of advice for each reason, and for no other.

import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, test } from '@jest/globals'
import { reasons } from '../../src/api/reasons.ts'

const page = readFileSync(resolve(import.meta.dirname, '../../docs/troubleshooting.md'), 'utf8')
const sections = new Map(
  page
    .split(/^### /m)
    .slice(1)
    .map(
      (part) =>
        [
          part.slice(0, part.indexOf('\n')),
          part
            .slice(part.indexOf('\n'))
            .replace(/^## [\s\S]*/m, '')
            .trim(),
        ] as const,
    ),
)

test('each reason has a section, and each section a reason', () => {
  expect([...sections.keys()].sort()).toEqual(Object.keys(reasons).sort())
})

test.each([...sections])('%s says something', (_reason, text) => {
  expect(text.length).toBeGreaterThan(10)
})
