// Rounds of the crash matrix as tests. `make measure-crashes` does all of it; here what takes longest is done in turns, another part each day
// (TASKBOUND_TEST_TURN: a number).

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type Fault, type Result, round, rounds, steps } from './round.ts'
import { createWorld, type World } from './world.ts'

const turn = Number(process.env['TASKBOUND_TEST_TURN'] ?? Math.floor(Date.now() / 86_400_000))

/**
 * @param parts one round of so many is done each time
 * @param types of the subjects; default those that are ended at once
 */
export function testRounds(parts: Readonly<Partial<Record<Fault, number>>>, types?: readonly string[]): void {
  let world: World
  const results: Result[] = []

  beforeAll(async () => {
    world = await createWorld(types)
  }, 600_000)
  afterAll(async () => {
    const line = ({ type, step, at, fault, found }: Result): string =>
      `${type.padEnd(19)} ${step.padEnd(6)} ${at.padEnd(34)} ${fault.padEnd(14)} ${found}`
    console.log([`turn ${turn}`, ...results.map(line)].join('\n'))
    await world?.close()
  })

  describe.each(Object.entries(parts) as [Fault, number][])('%s', (fault, part) => {
    test.each(steps)(
      '%s',
      async (step) => {
        const before = results.length
        for (let index = 0; index < rounds(world, step); index += 1)
          if ((index + turn) % part === 0) results.push(...(await round(world, step, index, fault)))
        expect(results.length).toBeGreaterThan(before)
      },
      900_000,
    )
  })

  test('nothing is left of any of them', () => world.nothingLeft(), 180_000)
}
