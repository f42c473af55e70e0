import { expect, test } from '@jest/globals'
import { asUid } from '../../src/core/names.ts'
import { fail, ok, type Result } from '../../src/lib/result.ts'
import type { AuditEntry } from '../../src/ports/journal.ts'
import { createEvents, type PostEvent } from '../../src/telemetry/events.ts'
import { createJournal } from '../../src/telemetry/journal.ts'
import { entry, makeClock, note, subject } from './make.ts'

interface Body {
  readonly metadata: { readonly name: string; readonly namespace: string }
  readonly note: string
}

function make(post?: PostEvent, limits?: { waiting: number; inFlight: number; remembered: number }) {
  const clock = makeClock()
  const posted: { path: string; body: Body }[] = []
  let drops = 0
  const record: PostEvent = async (path, body) => {
    posted.push({ path, body: body as Body })
    return ok(undefined)
  }
  const options = { post: post ?? record, clock, replica: 'pod-a', onDrop: () => void drops++ }
  return { clock, posted, drops: () => drops, events: createEvents(limits === undefined ? options : { ...options, limits }) }
}

test('an event is about the task, names its agent, and has the form of events.k8s.io/v1', async () => {
  const { events, posted } = make()
  events.event(note())
  await events.flush()
  expect(posted).toEqual([
    {
      path: '/apis/events.k8s.io/v1/namespaces/payroll/events',
      body: {
        apiVersion: 'events.k8s.io/v1',
        kind: 'Event',
        metadata: { name: expect.stringMatching(/^close-books\.[0-9a-f]{16}$/), namespace: 'payroll' },
        eventTime: '2026-03-01T10:00:00.123000Z',
        reportingController: 'taskbound.dev/controller',
        reportingInstance: 'pod-a',
        type: 'Warning',
        reason: 'PolicyDenied',
        action: 'Decide',
        note: 'denied `payroll-api` by policy `no-restricted`',
        regarding: {
          apiVersion: 'taskbound.dev/v1alpha1',
          kind: 'AgentTask',
          namespace: 'payroll',
          name: 'close-books',
          uid: '6f1c0d1e-0000-4000-8000-000000000001',
        },
        related: { apiVersion: 'taskbound.dev/v1alpha1', kind: 'Agent', namespace: 'payroll', name: 'payroll-clerk' },
      },
    },
  ])
})

test('the same fact about the same task is told once in ten minutes, any other at once', async () => {
  const { events, posted, clock } = make()
  const tell = async (...notes: Parameters<typeof events.event>[0][]) => {
    for (const one of notes) events.event(one)
    await events.flush()
    return posted.length
  }
  expect(await tell(note(), note())).toBe(1)
  const another = { ...subject, taskUid: asUid('6f1c0d1e-0000-4000-8000-000000000002') }
  expect(await tell(note({ reason: 'Renewed' }), note({ note: 'other' }), note({ subject: another }))).toBe(4)
  clock.move(599_999)
  expect(await tell(note())).toBe(4)
  clock.move(1)
  expect(await tell(note())).toBe(5)
  expect(new Set(posted.map(({ body }) => body.metadata.name)).size).toBe(5)
})

test('two replicas that tell the same fact make the same name', async () => {
  const [a, b] = [make(), make()]
  a.events.event(note())
  b.events.event(note())
  await Promise.all([a.events.flush(), b.events.flush()])
  expect(a.posted[0]?.body.metadata.name).toBe(b.posted[0]?.body.metadata.name)
})

test.each([
  ['short', 'x', 'x'],
  ['exactly fitting', 'x'.repeat(1024), 'x'.repeat(1024)],
  ['too long', 'x'.repeat(1025), `${'x'.repeat(1021)}...`],
  ['too long in bytes and cut inside a character', 'ä'.repeat(513), `${'ä'.repeat(510)}...`],
])('a note that is %s fits into 1,024 bytes', async (_what, text, expected) => {
  const { events, posted } = make()
  events.event(note({ note: text }))
  await events.flush()
  expect(posted[0]?.body.note).toBe(expected)
})

test('a note carries nothing that looks like a credential', async () => {
  const { events, posted } = make()
  events.event(note({ note: 'refused Bearer abcdefgh12' }))
  await events.flush()
  expect(posted[0]?.body.note).toBe('refused Bearer [redacted]')
})

test('what the API server refuses or the network loses is counted, and may be told again', async () => {
  const answers: (() => Promise<Result<unknown, unknown>>)[] = [
    async () => fail('Forbidden'),
    async () => {
      throw new Error('reset')
    },
    async () => ok(undefined),
  ]
  let calls = 0
  const { events, drops } = make(() => answers[calls++]?.() ?? Promise.resolve(ok(undefined)))
  for (const expected of [1, 2, 2, 2]) {
    events.event(note())
    await events.flush()
    expect(drops()).toBe(expected)
  }
  expect(calls).toBe(3)
})

test('a slow API server costs events beyond a bound, never memory and never a wait', async () => {
  const release: (() => void)[] = []
  const slow: PostEvent = () => new Promise((resolve) => release.push(() => resolve(ok(undefined))))
  const { events, drops } = make(slow, { waiting: 10, inFlight: 2, remembered: 20 })
  for (let i = 0; i < 100; i++) events.event(note({ note: `n${i}` }))
  expect({ drops: drops(), inFlight: release.length }).toEqual({ drops: 88, inFlight: 2 })
  let done = false
  const flushed = events.flush().then(() => {
    done = true
  })
  while (!done) {
    release.shift()?.()
    await Promise.resolve()
  }
  await flushed
  expect(drops()).toBe(88)
})

test('it remembers no more than its bound', async () => {
  const { events, posted } = make(undefined, { waiting: 1_000, inFlight: 4, remembered: 3 })
  for (const i of [0, 1, 2, 3, 4]) events.event(note({ note: `n${i}` }))
  await events.flush()
  events.event(note({ note: 'n4' }))
  events.event(note({ note: 'n0' }))
  await events.flush()
  expect(posted.map(({ body }) => body.note)).toEqual(['n0', 'n1', 'n2', 'n3', 'n4', 'n0'])
})

test('the journal tells both and waits for both', async () => {
  const audited: AuditEntry[] = []
  let flushed = 0
  const { events, posted } = make()
  const audit = { audit: (one: AuditEntry) => void audited.push(one), flush: async () => void flushed++ }
  const journal = createJournal(audit, events)
  journal.audit(entry())
  journal.event(note())
  await journal.flush()
  expect([audited.length, posted.length, flushed]).toEqual([1, 1, 1])
})
