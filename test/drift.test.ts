import { readFile } from 'node:fs/promises'
import { expect, test } from '@jest/globals'
import { outputs, root } from './generate.ts'

test.each(outputs.map((output) => [output.path, output] as const))('%s is what `npm run generate` writes', async (path, output) => {
  expect(await readFile(`${root}${path}`, 'utf8')).toBe(await output.content())
})
