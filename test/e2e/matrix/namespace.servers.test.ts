// A namespace with a hundred live tasks of the types that end slowly is deleted, the provider objects before it: it goes,
// whether an operator runs or not, and whoever is shown what was given takes none of it any more.

import { afterEach, expect, test } from '@jest/globals'
import { eventually } from '../../support/cluster.ts'
import { type RunningOperator, startOperator } from '../../support/operator.ts'
import { freeLease } from '../faults/tokens.ts'
import { createMeasuring, type Measuring } from './measuring.ts'
import { gone, remove } from './removal.ts'
import { decode, type Fields, type Source } from './subject.ts'
import { slow as types } from './subjects.ts'

const each = Math.ceil(100 / types.length)

let measuring: Measuring | undefined
let later: RunningOperator | undefined
afterEach(async () => {
  await later?.stop()
  await measuring?.close()
  later = undefined
  measuring = undefined
}, 120_000)

type Given = readonly { readonly source: Source; readonly task: string; readonly fields: Fields }[]

/** So many live tasks, and what each was given, which works. */
async function hundred({ scenario, sources: all }: Measuring): Promise<Given> {
  const tasks = all.flatMap((source) => [...Array(each).keys()].map((i) => ({ source, task: `n${i}-${source.type}`.toLowerCase() })))
  const spec = { activeDeadlineSeconds: 86_400 }
  await Promise.all(tasks.map(({ source, task }) => scenario.task({ name: task, spec, credential: source.credential })))
  const given: { source: Source; task: string; fields: Fields }[] = []
  for (const { source, task } of tasks) {
    await eventually(
      async () => {
        const { Ready } = await scenario.conditions(task)
        if (Ready?.reason !== 'Active') throw new Error(`${task} is ${Ready?.reason}: ${Ready?.message}`)
      },
      { timeoutMs: 120_000, everyMs: 200 },
    )
    const { data } = await scenario.kube.must('GET', scenario.path('secrets', `taskbound-${task}`))
    const fields = decode(data)
    expect([task, await source.works(fields)]).toEqual([task, true])
    given.push({ source, task, fields })
  }
  return given
}

/** None of what was given works. */
async function allDead(given: Given): Promise<void> {
  for (const { source, task, fields } of given)
    await eventually(
      async () => {
        if (await source.works(fields)) throw new Error(`what ${task} was given still works`)
      },
      { timeoutMs: 60_000, everyMs: 100 },
    )
}

test('with an operator', async () => {
  measuring = await createMeasuring(types)
  const given = await hundred(measuring)
  await remove(measuring.scenario, measuring.sources)
  await allDead(given)
  await gone(measuring.scenario)
}, 600_000)

test('while nobody runs: it goes all the same, and what was given dies after the start', async () => {
  measuring = await createMeasuring(types)
  const given = await hundred(measuring)
  await measuring.operator.stop()
  await remove(measuring.scenario, measuring.sources)
  await gone(measuring.scenario)
  // what tokens of ServiceAccounts are bound to has gone with the namespace
  const outside = given.filter(({ source }) => source.type !== 'serviceAccountToken')
  for (const { source, task, fields } of outside) expect([task, await source.works(fields)]).toEqual([task, true])
  const { scenario, operator } = measuring
  await freeLease(scenario)
  later = await startOperator({ kubeconfig: scenario.kube.kubeconfig, issuerPort: operator.issuerPort })
  await later.active()
  await allDead(given)
}, 600_000)
