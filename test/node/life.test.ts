// What an agent's running pod sees of its credential's life: renewals, which the kubelet brings in its own time, and nothing of a later task of
// the same name. The operator is upgraded and a namespace is deleted while it waits.

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createScenario, judge, type Scenario } from '../e2e/support/scenario.ts'
import { eventually } from '../support/cluster.ts'
import type { Sighting } from './agent/agent.ts'
import { type AgentPod, agentOf, agentPod, refusals, startAgent, startResourceServer } from './support/agents.ts'
import { deleteCrowd } from './support/crowd.ts'
import { createRelease, issuer, type Release } from './support/release.ts'

const agents = 6
let release: Release
let scenario: Scenario
let url: string
let pods: readonly { readonly task: string; readonly pod: AgentPod }[]
/** When the status of a task first named an attempt: milliseconds since 1970, by attempt. */
const renewed = new Map<string, Map<number, number>>()
let watching: NodeJS.Timeout

beforeAll(async () => {
  release = await createRelease()
  await release.install()
  scenario = await createScenario('life', {}, true)
  url = await startResourceServer(scenario)
  const tasks = await Promise.all(
    Array.from({ length: agents }, async (_, n) => {
      const task = await scenario.task({
        name: `long-${n}`,
        credential: { ttlSeconds: 300 },
        workload: { apiVersion: 'batch/v1', kind: 'Job', name: `long-${n}` },
      })
      await startAgent(scenario, task, url)
      return task
    }),
  )
  pods = await Promise.all(tasks.map(async (task) => ({ task, pod: await agentOf(scenario, task) })))
  watching = setInterval(() => void look().catch(() => undefined), 250)
}, 240_000)

afterAll(async () => {
  clearInterval(watching)
  await scenario?.close()
  await release?.close()
})

async function look(): Promise<void> {
  const { items } = await scenario.kube.must('GET', scenario.path('agenttasks'))
  for (const { metadata, status } of items) {
    const attempts = renewed.get(metadata.name) ?? new Map<number, number>()
    renewed.set(metadata.name, attempts)
    const attempt = status?.secret?.attempt as number | undefined
    const ready = status?.conditions?.some((one: { type: string; status: string }) => one.type === 'Ready' && one.status === 'True')
    if (attempt !== undefined && ready && !attempts.has(attempt)) attempts.set(attempt, Date.now())
  }
}

async function expectUnbroken(pod: AgentPod): Promise<readonly Sighting[]> {
  const report = await pod.report()
  // it looked often enough to have seen everything
  expect(report.longestPause).toBeLessThan(5_000)
  expect(report.sightings.filter(({ what }) => what !== 'token')).toEqual([])
  expect(report.counts['200']).toBeGreaterThan(4)
  expect(refusals(report)).toEqual([])
  return report.sightings
}

describe('a task that is made again while a pod of the former one runs', () => {
  test('gets nothing while that pod could see it, and that pod never sees it', async () => {
    const task = await scenario.task({ name: 'daily' })
    const { metadata, spec } = agentPod(task) as { metadata: object; spec: object }
    await scenario.kube.must('POST', scenario.path('pods'), { metadata: { ...metadata, name: 'yesterday' }, spec })
    const first = await scenario.active(task)
    const yesterday = await agentOf(scenario, task)
    await scenario.remove('agenttasks', task)
    await scenario.secretGone(task)
    const at = await release.issuerAddress()
    await eventually(async () => expect(await judge(issuer, first, new Date(), at)).toBe('revoked'))

    await scenario.task({ name: task })
    const why = async () => Object.values(await scenario.conditions(task)).map(({ reason }) => reason)
    await eventually(async () => expect(await why()).toContain('SecretStillMounted'))
    // longer than the kubelet takes to refresh, if it were to
    for (const end = Date.now() + 95_000; Date.now() < end; await new Promise((done) => setTimeout(done, 1_000))) {
      expect(await scenario.token(task)).toBeUndefined()
    }
    expect(await why()).toContain('SecretStillMounted')
    const { sightings } = await yesterday.report()
    expect(sightings.filter(({ what }) => what === 'token')).toHaveLength(1)

    await scenario.remove('pods', 'yesterday')
    const second = await scenario.active(task)
    expect(second).not.toBe(first)
    await eventually(async () => expect(await judge(issuer, second, new Date(), at)).toBe('live'))
    await scenario.patch('agenttasks', task, { spec: { end: 'Completed' } })
    await scenario.secretGone(task)
  }, 180_000)
})

test('a namespace with fifty live tasks is deleted, and nothing of it stays alive', async () => {
  const took = await deleteCrowd(release, 50, 10)
  console.log(`fifty tasks, ten with pods: the namespace was gone after ${(took / 1000).toFixed(1)} s`)
}, 240_000)

test('an upgrade interrupts no live task', async () => {
  const attempts = async () =>
    Promise.all(pods.map(async ({ task }) => (await scenario.kube.must('GET', scenario.path('agenttasks', task))).status.secret.attempt))
  const before = await attempts()
  const former = (await release.pods()).map(({ name }) => name)
  await release.install('--set', 'podAnnotations.upgraded=yes')
  await eventually(
    async () => {
      const now = await release.pods()
      expect(now.map(({ ready }) => ready)).toEqual([true, true])
      expect(now.filter(({ name }) => former.includes(name))).toEqual([])
    },
    { timeoutMs: 60_000, everyMs: 200 },
  )
  await release.leader()
  // whoever leads now works: a new task is served
  const task = await scenario.task({ name: 'after-upgrade' })
  await scenario.active(task)
  await scenario.patch('agenttasks', task, { spec: { end: 'Completed' } })
  // an upgrade is no reason for another attempt; one that was due by age may have come meanwhile
  const grown = (await attempts()).map((attempt, n) => attempt - (before[n] ?? 0))
  for (const [n, by] of grown.entries()) expect(by).toBeLessThanOrEqual(renewalsDue(n))
  for (const { pod } of pods) await expectUnbroken(pod)
}, 180_000)

/** How many renewals a task of 300 seconds can have had by now by age alone: the first is due no sooner than after 120 seconds. */
function renewalsDue(n: number): number {
  const first = Math.min(...(renewed.get(pods[n]?.task ?? '')?.values() ?? []))
  return Math.floor((Date.now() - first) / 120_000)
}

test('a renewal reaches a running pod before the former credential dies', async () => {
  const seenBy = async (pod: AgentPod) => (await pod.report()).sightings.filter(({ what }) => what === 'token')
  await eventually(
    async () => {
      for (const { pod } of pods) expect((await seenBy(pod)).length).toBeGreaterThan(1)
    },
    { timeoutMs: 300_000, everyMs: 1_000 },
  )
  const table: string[] = []
  for (const { task, pod } of pods) {
    const sightings = await expectUnbroken(pod)
    const [first, second] = sightings
    const at = renewed.get(task)?.get(2)
    if (first === undefined || second === undefined || at === undefined) throw new Error(`${task} was not renewed`)
    const seconds = (ms: number) => (ms / 1000).toFixed(1).padStart(6)
    table.push(
      `${task}  ${seconds(second.at - at)} s after the status said so  ${seconds((first.expires ?? 0) - second.at)} s before the former died`,
    )
    expect(second.at).toBeLessThan(first.expires ?? 0)
    // the kubelet may take ninety seconds
    expect(second.at - at).toBeLessThan(95_000)
  }
  console.log(['the renewed credential was in the pod', ...table].join('\n'))
  for (const { task, pod } of pods) {
    await pod.finish()
    await scenario.until(task, 'Completed')
  }
}, 400_000)
