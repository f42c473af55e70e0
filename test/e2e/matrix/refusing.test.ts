// Every second write to the API server is refused, the leader's own lease and all: tasks of every type are issued, renewed and ended all the
// same, and the servers have nothing that a live task does not hold.

import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals'
import type { Call } from '../../support/faults/gate.ts'
import { createWorld, type World } from './world.ts'

let world: World

beforeAll(async () => {
  world = await createWorld()
}, 600_000)
afterEach(() => {
  world.api.refuse = () => undefined
})
afterAll(() => world?.close())

/** Counted by what is written: where all are counted together, chance decides which of them is always refused. */
function everySecond(status: 409 | 429 | 500): { readonly refuse: (call: Call) => typeof status | undefined; count(): number } {
  const seen = new Map<string, number>()
  let count = 0
  return {
    refuse({ what, task = '' }) {
      const n = seen.get(`${what} ${task}`) ?? 0
      seen.set(`${what} ${task}`, n + 1)
      if (n % 2 === 1) return undefined
      count += 1
      return status
    },
    count: () => count,
  }
}

test.each([409, 429, 500] as const)(
  '%i: what is issued, renewed and ended',
  async (status) => {
    await world.operator.stop()
    await world.restart()
    const refusing = everySecond(status)
    world.api.refuse = refusing.refuse
    const tasks = world.name(`refused-${status}`, world.subjects)
    await world.create(tasks)
    await world.live(tasks, 'issue')
    world.jump()
    await world.live(tasks, 'renew')
    await world.dead(tasks)
    expect(refusing.count()).toBeGreaterThan(10)
  },
  300_000,
)

test('nothing is left of any of them', () => world.nothingLeft(), 180_000)
