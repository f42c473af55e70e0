// Every second write to the API server is refused, the leader's own lease and all, and every sixth that makes something: tasks of every type are
// issued, renewed and ended all the same, and the servers have nothing that a live task does not hold.

import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals'
import type { Call } from '../../support/faults/gate.ts'
import { spared, subjects } from './subjects.ts'
import { createWorld, type World } from './world.ts'

let world: World

beforeAll(async () => {
  world = await createWorld(Object.keys({ ...subjects, ...spared }))
}, 600_000)
afterEach(() => {
  world.api.refuse = () => undefined
})
afterAll(() => world?.close())

/** Counted by what is written: where all are counted together, chance decides which of them is always refused. */
function often(status: 409 | 429 | 500): { readonly refuse: (call: Call) => typeof status | undefined; count(): number } {
  const seen = new Map<string, number>()
  let count = 0
  return {
    refuse({ what, task, name }) {
      // a review is a question, and a provider that asks two of them at once would never have both answered
      if (what.endsWith('reviews')) return undefined
      // a task has several Secrets, of which those of its rows are called after these
      const which = [what, task, what.endsWith('/secrets') ? name : ''].join(' ').replace(/tb[a-z2-7]{36}/g, 'row')
      const n = seen.get(which) ?? 0
      seen.set(which, n + 1)
      // an attempt makes up to five things one after the other, all anew: were it every second one, none would come to its end for minutes
      if (n % (what.startsWith('POST') ? 6 : 2) !== 0) return undefined
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
    const refusing = often(status)
    world.api.refuse = refusing.refuse
    const tasks = world.name(`refused-${status}`, world.subjects)
    await world.create(tasks)
    await world.live(tasks, 'issue')
    world.jump()
    await world.live(tasks, 'renew')
    // no source lost an answer, so nothing is left for time to end
    for (const one of await world.dead(tasks)) expect(one).toEqual([one[0], expect.not.stringContaining('open until')])
    expect(refusing.count()).toBeGreaterThan(10)
  },
  900_000,
)

test('nothing is left of any of them', () => world.nothingLeft(), 180_000)
