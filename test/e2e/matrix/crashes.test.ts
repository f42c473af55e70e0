// The crash matrix: the operator is killed, or loses an answer, at every await of issue, renew and end, of every type of provider at once.
// After each round the servers are asked: nothing of ours is alive without a live task, and no task has two.

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type Result, round, rounds, steps } from './round.ts'
import { createWorld, type World } from './world.ts'

let world: World
const results: Result[] = []

beforeAll(async () => {
  world = await createWorld()
}, 600_000)
afterAll(async () => {
  const line = ({ type, step, at, fault, found }: Result): string =>
    `${type.padEnd(10)} ${step.padEnd(6)} ${at.padEnd(34)} ${fault.padEnd(14)} ${found}`
  console.log(results.map(line).join('\n'))
  await world?.close()
})

describe.each(['killed after', 'lost'] as const)('%s', (fault) => {
  test.each(steps)(
    '%s',
    async (step) => {
      for (let index = 0; index < rounds(world, step); index += 1) results.push(...(await round(world, step, index, fault)))
      expect(results.length).toBeGreaterThan(0)
    },
    600_000,
  )
})

test('nothing is left of any of them', () => world.nothingLeft(), 180_000)
