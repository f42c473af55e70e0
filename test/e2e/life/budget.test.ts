// What a life costs the API server, and what everything that is not a task costs the operator: counted by the operator's own metrics and
// checked against the API server's, which do not know who asked but count what nobody else did.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { eventually } from '../../support/cluster.ts'
import type { RunningOperator } from '../../support/operator.ts'
import { createScenario, runOperator, type Scenario } from '../support/scenario.ts'

let scenario: Scenario
let operator: RunningOperator

beforeAll(async () => {
  scenario = await createScenario('budget')
  operator = await runOperator()
})

afterAll(async () => {
  await operator?.stop()
  await scenario.close()
})

type Counts = Readonly<Record<string, number>>

/** `<verb> <resource>` to how often, leases left out: what the KubeLease costs does not depend on tasks. */
async function requests(): Promise<Counts> {
  const text = await (await fetch(`${operator.metrics}/metrics`)).text()
  const counts: Record<string, number> = {}
  for (const [, verb, resource, value] of text.matchAll(
    /^taskbound_api_requests_total\{verb="(\w+)",resource="([^"]+)",code="\d+"\} (\d+)$/gm,
  )) {
    if (resource !== 'leases') counts[`${verb} ${resource}`] = (counts[`${verb} ${resource}`] ?? 0) + Number(value)
  }
  return counts
}

/** The same from the API server, for kinds that nobody but the operator writes here. */
async function served(): Promise<Counts> {
  const { stdout } = await scenario.kube.kubectl(['get', '--raw', '/metrics'])
  const counts: Record<string, number> = {}
  const lines = stdout.matchAll(/^apiserver_request_total\{([^}]*)\} (\d+)$/gm)
  for (const [, labels = '', value] of lines) {
    const label = (name: string) => new RegExp(`(?:^|,)${name}="([^"]*)"`).exec(labels)?.[1] ?? ''
    if (label('resource') !== 'agenttasks' || label('subresource') !== 'status') continue
    counts[label('verb')] = (counts[label('verb')] ?? 0) + Number(value)
  }
  return counts
}

const spent = (before: Counts, after: Counts): Counts =>
  Object.fromEntries(Object.entries(after).flatMap(([key, n]) => (n === (before[key] ?? 0) ? [] : [[key, n - (before[key] ?? 0)]])))

async function quiet(): Promise<Counts> {
  let last = ''
  return eventually(
    async () => {
      const now = await requests()
      const text = JSON.stringify(now)
      if (text !== last) {
        last = text
        throw new Error('the operator is still at work')
      }
      return now
    },
    { everyMs: 1000, timeoutMs: 60_000 },
  )
}

test('a whole life costs five writes and no read', async () => {
  const job = await scenario.job()
  const [before, servedBefore] = [await quiet(), await served()]
  const task = await scenario.task({ workload: { apiVersion: 'batch/v1', kind: 'Job', name: job } })
  await scenario.active(task)
  await scenario.condition(job, 'Complete')
  await scenario.until(task, 'Completed')
  await scenario.secretGone(task)
  expect(spent(before, await quiet())).toEqual({ 'PATCH agenttasks/status': 3, 'POST secrets': 1, 'DELETE secrets': 1 })
  expect(spent(servedBefore, await served())).toEqual({ PATCH: 3 })
})

test('a workload that appears later costs one write more', async () => {
  const before = await quiet()
  const task = await scenario.task({ workload: { apiVersion: 'batch/v1', kind: 'Job', name: 'later' } })
  await scenario.active(task)
  await scenario.job('later')
  await quiet()
  await scenario.condition('later', 'Complete')
  await scenario.until(task, 'Completed')
  expect(spent(before, await quiet())).toEqual({ 'PATCH agenttasks/status': 4, 'POST secrets': 1, 'DELETE secrets': 1 })
})

async function inBatches<T>(count: number, work: (i: number) => Promise<T>): Promise<void> {
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < count) {
      const i = next
      next += 1
      await work(i)
    }
  }
  await Promise.all(Array.from({ length: 32 }, lane))
}

test('after a restart with 1,000 converged tasks nothing is written about them', async () => {
  const count = 1000
  await inBatches(count, async (i) => void (await scenario.task({ name: `many-${i}`, spec: i % 2 === 0 ? {} : { end: 'Completed' } })))
  await eventually(
    async () => {
      const { items } = await scenario.kube.must('GET', scenario.path('agenttasks'))
      const done = (items as { status?: { conditions?: { type: string; reason: string }[] } }[]).filter(({ status }) =>
        status?.conditions?.some((c) => c.type === 'Ready' && (c.reason === 'Active' || c.reason === 'Completed')),
      )
      expect(done.length).toBeGreaterThanOrEqual(count)
    },
    { timeoutMs: 90_000, everyMs: 1000 },
  )
  await quiet()
  const servedBefore = await served()
  await operator.stop()
  const began = performance.now()
  operator = await runOperator({ issuerPort: operator.issuerPort })
  console.log(`restarted and took over with ${count} converged tasks in ${Math.round(performance.now() - began)} ms`)
  const { 'POST secrets': probes = 0, ...writes } = Object.fromEntries(
    Object.entries(await quiet()).filter(([key]) => !key.startsWith('GET ') && !key.endsWith(' configmaps')),
  )
  expect(writes).toEqual({})
  // the dry run that the fence refuses, at the start and when its policies are first seen
  expect(probes).toBeLessThanOrEqual(4)
  expect(spent(servedBefore, await served())).toEqual({})
}, 180_000)

test('all of it went over at most four connections to the API server', () => {
  const port = Number(new URL(scenario.kube.endpoint.server).port).toString(16).toUpperCase().padStart(4, '0')
  const open = readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
  const inodes = new Set(open.filter((columns) => columns[2]?.endsWith(`:${port}`) && columns[3] === '01').map((columns) => columns[9]))
  const folder = `/proc/${operator.process.pid}/fd`
  const sockets = readdirSync(folder).flatMap((fd) => {
    const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`${folder}/${fd}`))?.[1]
    return inode !== undefined && inodes.has(inode) ? [inode] : []
  })
  expect(sockets.length).toBeGreaterThan(0)
  expect(sockets.length).toBeLessThanOrEqual(4)
})

test('foreign Secrets and pods cost no request and no memory', async () => {
  const rss = (): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${operator.process.pid}/status`, 'utf8'))?.[1])
  const before = await quiet()
  const memory = rss()
  const spec = { restartPolicy: 'Never', serviceAccountName: 'clerk', containers: [{ name: 'agent', image: 'none' }] }
  await inBatches(2000, (i) =>
    scenario.kube.must('POST', scenario.path('secrets'), { metadata: { name: `foreign-${i}` }, data: { a: 'eHh4'.repeat(200) } }),
  )
  await inBatches(500, (i) => scenario.kube.must('POST', scenario.path('pods'), { metadata: { name: `foreign-${i}` }, spec }))
  expect(spent(before, await quiet())).toEqual({})
  // what they hold together, kept by an informer, would be more than this
  expect(rss() - memory).toBeLessThan(12_000)
}, 120_000)
