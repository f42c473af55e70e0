// Every reason is a CamelCase fact with a sentence, and something in the operator gives it.

import { globSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, test } from '@jest/globals'
import { reasons } from '../../src/api/reasons.ts'

const src = resolve(import.meta.dirname, '../../src')
const code = globSync('**/*.ts', { cwd: src })
  .filter((file) => file !== 'api/reasons.ts' && file !== 'api/generated.ts')
  .map((file) => readFileSync(resolve(src, file), 'utf8'))
  .join('\n')

test('each is given somewhere', () => {
  expect(Object.keys(reasons).filter((reason) => !code.includes(`'${reason}'`))).toEqual([])
})

test.each(Object.entries(reasons))('%s is a fact with a sentence', (reason, sentence) => {
  expect(reason).toMatch(/^[A-Z][A-Za-z]+$/)
  expect(sentence).toMatch(/^[A-Z`"].*\.$/)
})
