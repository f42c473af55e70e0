// A namespace with a hundred live tasks of every type is deleted, the provider objects before it: the namespace goes, whether an operator runs
// or not, and every server agrees that all of it is dead.

import { expect, test } from '@jest/globals'
import { eventually } from '../../support/cluster.ts'
import { gone, remove } from './removal.ts'
import { createWorld, type Tasks, type World } from './world.ts'

const count = 100

/** So many live tasks, and every server shows as many alive as it has given. */
async function hundred(world: World): Promise<void> {
  const { scenario, subjects } = world
  const each = Math.ceil(count / subjects.length)
  const all: readonly Tasks[] = [...Array(each).keys()].map((i) => world.name(`n${i}`, subjects))
  await Promise.all(all.map((tasks) => world.create(tasks)))
  await eventually(
    async () => {
      const { items } = await scenario.kube.must('GET', scenario.path('agenttasks'))
      type Item = { metadata: { name: string }; status?: { conditions?: { type: string; reason: string; message: string }[] } }
      const waiting = (items as Item[]).flatMap(({ metadata, status }) => {
        const ready = status?.conditions?.find(({ type }) => type === 'Ready')
        return ready?.reason === 'Active' ? [] : [`${metadata.name}: ${ready?.reason}: ${ready?.message}`]
      })
      expect([items.length, waiting]).toEqual([each * subjects.length, []])
    },
    { timeoutMs: 120_000, everyMs: 500 },
  )
  await eventually(
    async () => {
      for (const subject of subjects) expect([subject.type, (await subject.alive()).length]).toEqual([subject.type, each])
    },
    { timeoutMs: 60_000, everyMs: 500 },
  )
}

/** Nothing is alive, and nothing of what was ever given works. */
async function allDead(world: World): Promise<void> {
  await eventually(
    async () => {
      for (const subject of world.subjects) expect([subject.type, await subject.alive()]).toEqual([subject.type, []])
    },
    { timeoutMs: 120_000, everyMs: 200 },
  )
  for (const subject of world.subjects)
    for (const fields of world.given(subject)) expect([subject.type, await subject.works(fields)]).toEqual([subject.type, false])
}

test('with an operator', async () => {
  const world = await createWorld()
  try {
    await hundred(world)
    await remove(world.scenario, world.subjects)
    await allDead(world)
    await gone(world.scenario)
    expect(world.operator.output()).not.toContain('"unhandled')
  } finally {
    await world.close()
  }
}, 600_000)

test('while nobody runs: it goes all the same, and what was given dies after the start', async () => {
  const world = await createWorld()
  try {
    await hundred(world)
    await world.operator.stop()
    await remove(world.scenario, world.subjects)
    await gone(world.scenario)
    // what is believed without a server being asked is believed only while somebody can be asked
    for (const subject of world.subjects)
      if (subject.points.some(({ at }) => at === 'the row')) expect((await subject.alive()).length).toBeGreaterThan(0)
    await world.restart()
    await allDead(world)
  } finally {
    await world.close()
  }
}, 600_000)
