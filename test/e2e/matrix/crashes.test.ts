// The crash matrix: the operator is killed, loses a reply, or stands still while another leads, at every await of issue, renew and end, of
// every type of provider at once. After each round the servers are asked: nothing of ours is alive without a live task, and no task has two.
// `make measure-crashes` does all of it; here what takes longest is done in turns, another part each day (TASKBOUND_TEST_TURN: a number).

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type Fault, type Result, round, rounds, steps } from './round.ts'
import { createWorld, type World } from './world.ts'

const turn = Number(process.env['TASKBOUND_TEST_TURN'] ?? Math.floor(Date.now() / 86_400_000))
/** One round of so many is done each time. */
const parts: Readonly<Record<Fault, number>> = { 'killed after': 1, lost: 1, 'killed before': 4, paused: 6 }

let world: World
const results: Result[] = []

beforeAll(async () => {
  world = await createWorld()
}, 600_000)
afterAll(async () => {
  const line = ({ type, step, at, fault, found }: Result): string =>
    `${type.padEnd(10)} ${step.padEnd(6)} ${at.padEnd(34)} ${fault.padEnd(14)} ${found}`
  console.log([`turn ${turn}`, ...results.map(line)].join('\n'))
  await world?.close()
})

describe.each(Object.keys(parts) as Fault[])('%s', (fault) => {
  test.each(steps)(
    '%s',
    async (step) => {
      const before = results.length
      for (let index = 0; index < rounds(world, step); index += 1)
        if ((index + turn) % parts[fault] === 0) results.push(...(await round(world, step, index, fault)))
      expect(results.length).toBeGreaterThan(before)
    },
    900_000,
  )
})

test('nothing is left of any of them', () => world.nothingLeft(), 180_000)
