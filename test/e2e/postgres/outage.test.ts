// PostgreSQL falls silent during 100 endings and 50 issues: states and messages are true meanwhile, tasks of another provider are not delayed,
// and all settles when it returns. TASKBOUND_TEST_OUTAGE_SECONDS says for how long; continuous integration takes five minutes.

import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { eventually } from '../../support/cluster.ts'
import { type HoldingProxy, startHoldingProxy } from '../../support/faults/holding.ts'
import type { RunningOperator } from '../../support/operator.ts'
import { createDatabase, type Database, onlyAlive } from '../support/database.ts'
import { createScenario, runOperator, type Scenario } from '../support/scenario.ts'

const outageSeconds = Number(process.env['TASKBOUND_TEST_OUTAGE_SECONDS'] ?? '45')
const [endings, issues, samples] = [100, 50, 60]

let scenario: Scenario
let database: Database
let proxy: HoldingProxy
let operator: RunningOperator

beforeAll(async () => {
  scenario = await createScenario('outage')
  database = await createDatabase(scenario, {}, async ({ port }) => {
    proxy = await startHoldingProxy(port)
    return proxy.port
  })
  operator = await runOperator()
}, 120_000)
afterAll(async () => {
  await operator?.stop()
  await database?.close()
  await proxy?.close()
  await scenario?.close()
})

const inBatches = async (n: number, work: (i: number) => Promise<unknown>): Promise<void> => {
  for (let from = 0; from < n; from += 10) await Promise.all([...Array(Math.min(10, n - from)).keys()].map((i) => work(from + i)))
}
const ready = async (task: string) => (await scenario.conditions(task))['Ready']

/** Milliseconds from create to Active of tasks of the other provider, one after the other, sorted. */
async function latencies(prefix: string): Promise<readonly number[]> {
  const found: number[] = []
  for (let i = 0; i < samples; i += 1) {
    const started = performance.now()
    const task = await scenario.task({ name: `${prefix}${i}` })
    await eventually(async () => expect((await ready(task))?.reason).toBe('Active'), { everyMs: 5 })
    found.push(performance.now() - started)
  }
  return found.sort((a, b) => a - b)
}
const at = (sorted: readonly number[], part: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0
const shown = (sorted: readonly number[]): string => `p50 ${at(sorted, 0.5).toFixed(0)} ms, p99 ${at(sorted, 0.99).toFixed(0)} ms`

async function begin(prefix: string): Promise<void> {
  await inBatches(endings, (i) => database.task(`${prefix}-old${i}`, { activeDeadlineSeconds: 86_400 }, { ttlSeconds: 3600 }))
  await eventually(async () => expect(await database.alive()).toHaveLength(endings), { timeoutMs: 60_000, everyMs: 500 })
}

async function load(prefix: string): Promise<void> {
  await Promise.all([
    inBatches(endings, (i) => scenario.patch('agenttasks', `${prefix}-old${i}`, { spec: { end: 'Completed' } })),
    inBatches(issues, (i) => database.task(`${prefix}-new${i}`, { activeDeadlineSeconds: 86_400 }, { ttlSeconds: 3600 })),
  ])
}

test(
  'an outage tells the truth, delays nobody else, and loses nothing',
  async () => {
    // the same load twice: with a source that answers, and with one that does not
    await begin('well')
    await load('well')
    const before = await latencies('before')
    await eventually(async () => expect(await database.alive()).toHaveLength(issues), { timeoutMs: 60_000, everyMs: 500 })
    await inBatches(issues, (i) => scenario.patch('agenttasks', `well-new${i}`, { spec: { end: 'Completed' } }))
    await eventually(async () => expect(await database.alive()).toEqual([]), { timeoutMs: 60_000, everyMs: 500 })

    await begin('ill')
    proxy.swallow()
    const began = performance.now()
    await load('ill')
    const during = await latencies('during')
    console.log(`another provider's tasks to Active: before ${shown(before)}; during the outage ${shown(during)}`)
    expect(at(during, 0.99)).toBeLessThan(1.5 * at(before, 0.99) + 50)

    // each that ended is over, its Secret is gone, and it does not claim to be revoked
    for (let i = 0; i < endings; i += 1) {
      await eventually(
        async () => {
          const { Ready, Revoked } = await scenario.conditions(`ill-old${i}`)
          expect(Ready).toMatchObject({ status: 'False', reason: 'Completed' })
          expect(Revoked).toMatchObject({ status: 'False', reason: 'RevocationUnconfirmed' })
        },
        { timeoutMs: 30_000 },
      )
      expect(await database.given(`ill-old${i}`)).toBeUndefined()
    }
    await eventually(
      async () =>
        expect((await scenario.conditions('ill-old0'))['Revoked']?.message).toMatch(/credential `db`: .*does not answer.*tried until/),
      {
        timeoutMs: 60_000,
        everyMs: 500,
      },
    )
    // none that began claims to be issued, and each says what it waits for
    await eventually(
      async () => {
        for (let i = 0; i < issues; i += 1) {
          const now = await ready(`ill-new${i}`)
          expect(now).toMatchObject({ status: 'False', reason: 'Pending' })
          expect(now?.message).toMatch(/credential `db`: /)
        }
      },
      { timeoutMs: 30_000, everyMs: 1000 },
    )
    const provider = await scenario.kube.must('GET', `/apis/taskbound.dev/v1alpha1/clustercredentialproviders/${database.name}`)
    expect(provider.status.conditions).toMatchObject([{ type: 'Ready', status: 'False', reason: 'ProviderUnreachable' }])
    expect(await database.alive()).toHaveLength(endings)

    await new Promise((resolve) => setTimeout(resolve, Math.max(0, outageSeconds * 1000 - (performance.now() - began))))
    proxy.allow()
    const returned = performance.now()
    const alive = async () =>
      (await Promise.all([...Array(issues).keys()].map((i) => database.given(`ill-new${i}`)))).map((given) => given?.username ?? '')
    await eventually(async () => expect((await alive()).filter((name) => name !== '')).toHaveLength(issues), {
      timeoutMs: 120_000,
      everyMs: 500,
    })
    await onlyAlive(database, ...(await alive()))
    for (let i = 0; i < endings; i += 1)
      await eventually(async () =>
        expect((await scenario.conditions(`ill-old${i}`))['Revoked']).toMatchObject({ status: 'True', reason: 'AllRevoked' }),
      )
    console.log(
      `after ${outageSeconds} s of silence all had settled ${((performance.now() - returned) / 1000).toFixed(1)} s after its return`,
    )
  },
  (outageSeconds + 300) * 1000,
)
