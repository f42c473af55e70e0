import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { Log } from '../../src/ports/log.ts'
import { noTracer, type Tracer } from '../../src/ports/tracer.ts'
import { createTracing, type Tracing } from '../../src/telemetry/tracing.ts'
import { eventually } from '../support/cluster.ts'
import { type Collector, startCollector } from '../support/collector.ts'

let collector: Collector
let tracing: Tracing
let told: string[]

beforeEach(async () => {
  collector = await startCollector()
  told = []
  const log: Pick<Log, 'info' | 'warn'> = { info: (text) => void told.push(text), warn: (text) => void told.push(text) }
  tracing = createTracing({ url: `${collector.url}/v1/traces`, version: '0.1.0', replica: 'a-1', namespace: 'tb', log, delay: 20 })
})
afterEach(async () => {
  await tracing.close()
  await collector.close()
})

async function spans(count: number) {
  await eventually(() => expect(collector.spans().length).toBeGreaterThanOrEqual(count))
  return Object.fromEntries(collector.spans().map((span) => [span.name, span]))
}

test('spans arrive as OTLP, inside each other, with what they are about', async () => {
  const attributes = { namespace: 'payroll', task: 'close', taskUid: 'u', attempt: 3 }
  await tracing.span('task.pass', attributes, async (pass) => {
    await tracing.span('task.judge', {}, async () => undefined)
    await tracing.span('credential.issue', { credential: 'api', provider: 'corp' }, async (span) => span.failed('IssueFailed'))
    pass.set({ result: 'retry', reason: undefined })
  })
  const { 'task.pass': pass, 'task.judge': judge, 'credential.issue': issue } = await spans(3)
  expect(pass).toMatchObject({
    parent: undefined,
    failed: false,
    attributes: {
      'k8s.namespace.name': 'payroll',
      'taskbound.task.name': 'close',
      'taskbound.task.uid': 'u',
      'taskbound.attempt': 3,
      'taskbound.result': 'retry',
    },
  })
  for (const child of [judge, issue]) expect(child).toMatchObject({ parent: pass?.spanId, traceId: pass?.traceId })
  expect(issue).toMatchObject({ failed: true, attributes: { 'taskbound.provider.name': 'corp', 'taskbound.reason': 'IssueFailed' } })
  expect(collector.posts()[0]).toMatchObject({ path: '/v1/traces', headers: { 'content-type': 'application/json' } })
  expect(collector.resource()).toEqual({
    'service.name': 'taskbound',
    'service.version': '0.1.0',
    'service.instance.id': 'a-1',
    'k8s.namespace.name': 'tb',
  })
})

test('spans of things that go on at once do not mix, and a root has no parent wherever it is begun', async () => {
  const pause = () => new Promise((resolve) => setImmediate(resolve))
  const one = (task: string) =>
    tracing.span('task.pass', { task }, async () => {
      await pause()
      await tracing.span('secret.write', { task }, pause)
      await tracing.span('lease.revoke', { task }, pause, 'root')
    })
  await Promise.all([one('a'), one('b')])
  await eventually(() => expect(collector.spans()).toHaveLength(6))
  const found = (name: string, task: string) =>
    collector.spans().find((span) => span.name === name && span.attributes['taskbound.task.name'] === task)
  for (const task of ['a', 'b']) {
    expect(found('secret.write', task)?.parent).toBe(found('task.pass', task)?.spanId)
    expect(found('lease.revoke', task)?.parent).toBeUndefined()
  }
})

test('the current span is a header by which others join, and only inside of it', async () => {
  expect(tracing.traceparent()).toBeUndefined()
  const header = await tracing.span('task.pass', {}, async () => tracing.traceparent())
  const { 'task.pass': pass } = await spans(1)
  expect(header).toBe(`00-${pass?.traceId}-${pass?.spanId}-01`)
})

test('what throws is thrown on, and its text leaves with no span', async () => {
  const work = tracing.span('task.pass', {}, () => Promise.reject(new Error('canary-4711')))
  await expect(work).rejects.toThrow('canary-4711')
  expect((await spans(1))['task.pass']).toMatchObject({ failed: true, attributes: { 'taskbound.reason': 'Unexpected' } })
  expect(collector.bytes()).not.toContain('canary')
})

test('only what is listed leaves, and nothing that looks like a credential', async () => {
  const token = `ey${'J'.repeat(20)}.${'a'.repeat(30)}.${'b'.repeat(30)}`
  const attributes = { credential: token, username: 'canary-jane', password: 'canary-4711' }
  await tracing.span('credential.issue', attributes, async () => undefined)
  expect((await spans(1))['credential.issue']?.attributes).toEqual({ 'taskbound.credential.name': '[jwt]' })
  expect(collector.bytes()).not.toMatch(/canary|username|password/)
})

test('a collector that is away costs spans and one line of the log, and is told when it is back', async () => {
  collector.answer(400)
  for (let i = 0; i < 3; i++) {
    await tracing.span('task.pass', {}, async () => undefined)
    await eventually(() => expect(collector.posts().length).toBeGreaterThan(i))
  }
  await eventually(() => expect(told).toEqual(['spans cannot be sent and are lost']))
  collector.answer(200)
  await tracing.span('task.pass', {}, async () => undefined)
  await eventually(() => expect(told).toEqual(['spans cannot be sent and are lost', 'spans are sent again']))
})

test('what was collected is sent at the end', async () => {
  const last = createTracing({
    url: collector.url,
    version: '0',
    replica: 'a',
    namespace: 'tb',
    log: { info: () => undefined, warn: () => undefined },
  })
  await last.span('task.pass', {}, async () => undefined)
  await last.close()
  expect(collector.spans()).toHaveLength(1)
})

describe('where nobody asked for spans', () => {
  test('work is done as it is, and costs nothing to speak of', async () => {
    expect(noTracer.traceparent()).toBeUndefined()
    const work = async () => 1
    const measure = async (run: () => Promise<number>): Promise<number> => {
      const before = performance.now()
      for (let i = 0; i < 100_000; i++) await run()
      return ((performance.now() - before) / 100_000) * 1000
    }
    const off: Tracer = noTracer
    const attributes = { namespace: 'payroll', task: 'close' }
    const [bare, traced] = [await measure(work), await measure(() => off.span('task.pass', attributes, work))]
    console.log(`a span that is off: ${Math.max(0, traced - bare).toFixed(3)} µs`)
    expect(traced - bare).toBeLessThan(5)
  })
})
