import { inspect } from 'node:util'
import { expect, test } from '@jest/globals'
import { Material } from '../../src/lib/material.ts'

test('no ordinary way of printing material shows its bytes', () => {
  const material = new Material('canary-value')
  const shown = [
    `${material}`,
    JSON.stringify({ material }),
    inspect(material, { depth: 9, showHidden: true }),
    JSON.stringify({ ...material }),
  ]
  for (const text of shown) expect(text).not.toContain('canary')
  expect(new TextDecoder().decode(material.reveal())).toBe('canary-value')
})
