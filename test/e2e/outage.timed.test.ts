// Sources of every kind fall silent during 200 endings and 50 issues: states, messages and metrics are true meanwhile, tasks of other providers
// begin and end as fast as before, and all settles when they return. TASKBOUND_TEST_OUTAGE_SECONDS says for how long; continuous integration
// takes five minutes, which is longer than some of the credentials live.

import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { eventually } from '../support/cluster.ts'
import type { RunningOperator } from '../support/operator.ts'
import { freeLease } from './faults/tokens.ts'
import { createHooked, type Hooked } from './support/hooked.ts'
import { compared, measure, quantile, shown } from './support/latency.ts'
import { createScenario, runOperator, type Scenario } from './support/scenario.ts'
import { createSilenced, type Silenced } from './support/silenced.ts'

const outageSeconds = Number(process.env['TASKBOUND_TEST_OUTAGE_SECONDS'] ?? '45')
const samples = 120
/** of all sources together */
const [wantedEndings, wantedIssues] = [200, 50]

let scenario: Scenario
let sources: readonly Silenced[]
/** a source that answers all the time */
let other: Hooked
let operator: RunningOperator
let endings: number
let issues: number

beforeAll(async () => {
  scenario = await createScenario('outage')
  await freeLease(scenario)
  other = await createHooked(scenario, { suffix: 'other' })
  sources = await createSilenced(scenario)
  endings = Math.ceil(wantedEndings / sources.length)
  issues = Math.ceil(wantedIssues / sources.length)
  operator = await runOperator()
  for (const source of sources) await source.trust(operator)
}, 600_000)
afterAll(async () => {
  await operator?.stop()
  for (const source of sources ?? []) await source.close()
  await other?.close()
  await scenario?.close()
}, 120_000)

const inBatches = async (n: number, work: (i: number) => Promise<unknown>): Promise<void> => {
  for (let from = 0; from < n; from += 10) await Promise.all([...Array(Math.min(10, n - from)).keys()].map((i) => work(from + i)))
}
const nameOf = ({ type }: Silenced, kind: string, i: number): string => `${kind}-${type}-${i}`.toLowerCase()
const each = (count: number, work: (source: Silenced, i: number) => Promise<unknown>): Promise<void> =>
  inBatches(sources.length * count, (n) => work(sources[n % sources.length] as Silenced, Math.floor(n / sources.length)))
const end = (task: string) => scenario.patch('agenttasks', task, { spec: { end: 'Completed' } })

/** What works at each source. */
const working = async (): Promise<Readonly<Record<string, readonly string[]>>> =>
  Object.fromEntries(await Promise.all(sources.map(async (one) => [one.type, [...(await one.alive())].sort()])))

/** Waits until so many work at each source. */
async function alive(count: number): Promise<void> {
  const found = async () => Object.values(await working()).map(({ length }) => length)
  await eventually(async () => expect(await found()).toEqual(sources.map(() => count)), { timeoutMs: 180_000, everyMs: 500 })
}

/** Waits until each of these tasks has its own, and nothing else works at any source: an attempt that failed under load is over as well. */
async function owned(kind: string, count: number): Promise<void> {
  const own = async (source: Silenced) => {
    const given = await Promise.all([...Array(count).keys()].map((i) => source.given(nameOf(source, kind, i))))
    const without = given.indexOf(undefined)
    if (without !== -1) throw new Error(`${nameOf(source, kind, without)} has no Secret`)
    return given as string[]
  }
  for (const source of sources)
    await eventually(async () => expect([...(await source.alive())].sort()).toEqual((await own(source)).sort()), {
      timeoutMs: 180_000,
      everyMs: 500,
    })
}

/** Times of tasks of others, one after the other: to Active with an own token, and from the end to the death at a source that answers. */
async function others(prefix: string): Promise<{ readonly begins: readonly number[]; readonly ends: readonly number[] }> {
  const keys: string[] = []
  await inBatches(samples, async (i) => {
    const task = await other.task(`${prefix}-other${i}`, { activeDeadlineSeconds: 86_400 })
    keys[i] = await scenario.active(task)
  })
  const works = (key: string | undefined): boolean => [...other.alive().values()].some((one) => one === key)
  const ends = await measure(samples, async (i) => {
    expect(works(keys[i])).toBe(true)
    await end(`${prefix}-other${i}`)
    return () => !works(keys[i])
  })
  const begins = await measure(samples, async (i) => {
    const task = await scenario.task({ name: `${prefix}${i}` })
    return async () => (await scenario.conditions(task))['Ready']?.reason === 'Active'
  })
  return { begins, ends }
}

const begin = (kind: string) => each(endings, (source, i) => source.task(nameOf(source, `${kind}-old`, i)))
const load = (kind: string) =>
  Promise.all([
    each(endings, (source, i) => end(nameOf(source, `${kind}-old`, i))),
    each(issues, (source, i) => source.task(nameOf(source, `${kind}-new`, i))),
  ])

/** Tasks of another provider that come right after that load: times to Active. */
const first = (kind: string) =>
  measure(10, async (i) => {
    const task = await scenario.task({ name: `${kind}-first${i}` })
    return async () => (await scenario.conditions(task))['Ready']?.reason === 'Active'
  })

/** Rows that are being revoked for over a minute, as the alert sees them, by provider. */
async function overdue(): Promise<Readonly<Record<string, number>>> {
  const text = await (await fetch(`${operator.metrics}/metrics`)).text()
  const found = [...text.matchAll(/^taskbound_leases\{(.*)\} (\d+)$/gm)].filter(([, labels]) => labels?.includes('state="Overdue"'))
  return Object.fromEntries(found.map(([, labels, count]) => [/provider="([^"]*)"/.exec(labels ?? '')?.[1] ?? '', Number(count)]))
}

test(
  'an outage tells the truth, delays nobody else, and loses nothing',
  async () => {
    // the same load twice: with sources that answer, and with some that do not
    await begin('well')
    await alive(endings)
    await load('well')
    const usual = await first('well')
    const before = await others('before')
    await alive(issues)
    await each(issues, (source, i) => end(nameOf(source, 'well-new', i)))
    await alive(0)

    await begin('ill')
    await owned('ill-old', endings)
    const untouched = await working()
    for (const { proxy } of sources) proxy.swallow()
    const began = performance.now()
    await load('ill')
    // at once, while the first calls still wait for an answer, which they do for five seconds
    const silent = await first('ill')
    expect(quantile(silent, 1)).toBeLessThan(1.5 * quantile(usual, 1) + 2500)
    const during = await compared(before, (n) => others(`during${n}x`))
    console.log(
      [
        `the first tasks of other providers beside that load: with sources that answer ${shown(usual)}; when they fell silent ${shown(silent)}`,
        `tasks of other providers to Active: before ${shown(before.begins)}; during the outage ${shown(during.begins)}`,
        `from the end to dead at another source: before ${shown(before.ends)}; during the outage ${shown(during.ends)}`,
      ].join('\n'),
    )

    // each that ended is over, its Secret is gone, and it does not claim to be revoked
    await each(endings, async (source, i) => {
      const task = nameOf(source, 'ill-old', i)
      await eventually(
        async () => {
          const { Ready, Revoked } = await scenario.conditions(task)
          expect(Ready).toMatchObject({ status: 'False', reason: 'Completed' })
          expect(Revoked).toMatchObject({ status: 'False', reason: 'RevocationUnconfirmed' })
        },
        { timeoutMs: 60_000 },
      )
      expect(await source.given(task)).toBeUndefined()
    })
    for (const source of sources) {
      const says = new RegExp(`credential \`${source.credential}\`: .*does not answer.*tried until`)
      await eventually(async () => expect((await scenario.conditions(nameOf(source, 'ill-old', 0)))['Revoked']?.message).toMatch(says), {
        timeoutMs: 90_000,
        everyMs: 500,
      })
      const provider = await scenario.kube.must('GET', `/apis/taskbound.dev/v1alpha1/clustercredentialproviders/${source.provider}`)
      expect(provider.status.conditions).toMatchObject([{ type: 'Ready', status: 'False', reason: 'ProviderUnreachable' }])
    }
    // none that began claims to be issued, and each says what it waits for
    await eventually(
      () =>
        each(issues, async (source, i) => {
          const { Ready } = await scenario.conditions(nameOf(source, 'ill-new', i))
          expect(Ready).toMatchObject({ status: 'False', reason: 'Pending' })
          expect(Ready?.message).toContain(`credential \`${source.credential}\`: `)
        }),
      { timeoutMs: 60_000, everyMs: 1000 },
    )
    expect(await working()).toEqual(untouched)

    // what the alert looks at is above zero for whoever is silent and for nobody else
    const left = (): number => outageSeconds * 1000 - (performance.now() - began)
    if (outageSeconds >= 90)
      await eventually(
        async () => {
          const counted = await overdue()
          for (const { provider } of sources) expect([provider, (counted[provider] ?? 0) > 0]).toEqual([provider, true])
          expect(counted[other.name] ?? 0).toBe(0)
        },
        { timeoutMs: Math.max(1000, left()), everyMs: 1000 },
      )
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, left())))
    for (const { proxy } of sources) proxy.allow()
    const returned = performance.now()
    // each that waited has its own, and nothing else is alive
    await owned('ill-new', issues)
    await each(endings, (source, i) =>
      eventually(
        async () =>
          expect((await scenario.conditions(nameOf(source, 'ill-old', i)))['Revoked']).toMatchObject({
            status: 'True',
            reason: 'AllRevoked',
          }),
        { timeoutMs: 60_000 },
      ),
    )
    console.log(`after ${outageSeconds} s of silence all had settled ${((performance.now() - returned) / 1000).toFixed(1)} s after it`)
  },
  (outageSeconds + 600) * 1000,
)
