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

async function inBatches<T>(count: number, work: (i: number) => Promise<T>, inFlight = 32): Promise<void> {
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < count) {
      const i = next
      next += 1
      await work(i)
    }
  }
  await Promise.all(Array.from({ length: inFlight }, lane))
}

/** All that were ever told of, as text. */
async function events(): Promise<readonly string[]> {
  const { items } = await scenario.kube.must('GET', '/apis/events.k8s.io/v1/events')
  type Event = { metadata: { uid: string }; regarding?: { kind: string; name: string }; reason: string; note: string }
  return (items as Event[]).map(
    ({ metadata, regarding, reason, note }) => `${metadata.uid} ${regarding?.kind} ${regarding?.name} ${reason}: ${note}`,
  )
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
  const told = await events()
  await operator.stop()
  const began = performance.now()
  operator = await runOperator({ issuerPort: operator.issuerPort })
  console.log(`restarted and took over with ${count} converged tasks in ${Math.round(performance.now() - began)} ms`)
  const { 'POST secrets': probes = 0, ...writes } = Object.fromEntries(
    Object.entries(await quiet()).filter(([key]) => !key.startsWith('GET ') && !key.endsWith(' configmaps')),
  )
  expect({ writes, events: (await events()).filter((one) => !told.includes(one)) }).toEqual({ writes: {}, events: [] })
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

interface Start {
  readonly ms: number
  readonly memory: number
  readonly received: number
}

/** Starts the operator again, and answers of two starts the smaller of: the time to active, and memory and bytes received once it is quiet. */
async function start(): Promise<Start> {
  const found: Start[] = []
  for (let i = 0; i < 2; i += 1) {
    await operator.stop()
    const began = performance.now()
    operator = await runOperator({ issuerPort: operator.issuerPort })
    const ms = Math.round(performance.now() - began)
    await quiet()
    found.push({ ms, memory: memory(), received: received() })
  }
  const least = (of: keyof Start): number => Math.min(...found.map((one) => one[of]))
  return { ms: least('ms'), memory: least('memory'), received: least('received') }
}

const proc = (file: string, line: RegExp): number => Number(line.exec(readFileSync(`/proc/${operator.process.pid}/${file}`, 'utf8'))?.[1])
/** resident, in kB */
const memory = (): number => proc('status', /VmRSS:\s+(\d+)/)
/** kB read from files and connections since the process began */
const received = (): number => Math.round(proc('io', /rchar: (\d+)/) / 1000)

test('foreign Secrets and pods cost no request, no memory, and at the start no time', async () => {
  const [before, counts] = [await start(), await quiet()]
  const [held, heard] = [memory(), received()]
  const spec = { restartPolicy: 'Never', serviceAccountName: 'clerk', containers: [{ name: 'agent', image: 'none' }] }
  const data = { a: 'eHh4'.repeat(200) }
  const began = performance.now()
  await inBatches(10_000, (i) => scenario.kube.must('POST', scenario.path('secrets'), { metadata: { name: `foreign-${i}` }, data }), 64)
  await inBatches(5_000, (i) => scenario.kube.must('POST', scenario.path('pods'), { metadata: { name: `foreign-${i}` }, spec }), 64)
  const made = Math.round((performance.now() - began) / 1000)
  expect(spent(counts, await quiet())).toEqual({})
  const [grown, told] = [memory() - held, received() - heard]
  const after = await start()
  const texts = [before, after].map((one) => `${one.ms} ms, ${one.memory} kB resident, ${one.received} kB read`)
  console.log(`15,000 foreign objects, made in ${made} s: a start without them ${texts[0]}; with them ${texts[1]}`)
  // each kind of them, watched or listed, is some 10 MB over the wire
  expect(told).toBeLessThan(1_000)
  expect(after.received - before.received).toBeLessThan(1_000)
  // kept by an informer they would be more than this; the time is wide, since others use the machine too: the bytes are what proves it
  expect(grown).toBeLessThan(12_000)
  expect(after.memory - before.memory).toBeLessThan(25_000)
  expect(after.ms).toBeLessThan(before.ms * 2)
}, 180_000)
