import { describe, expect, test } from '@jest/globals'
import { toTaskKey } from '../../src/core/names.ts'
import { type Condition, type CredentialRecord, emptyRecord, emptyReport, type Task } from '../../src/core/observed.ts'
import { minus, plus, seconds } from '../../src/lib/instant.ts'
import type { PolicyObject } from '../../src/runtime/objects/kinds.ts'
import type { Operator } from '../../src/runtime/operator.ts'
import { countTasks, createSnapshot } from '../../src/runtime/snapshot.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { makeTask, t0, uids } from '../support/make.ts'

const now = plus(t0, seconds(600))
const clock = { now: () => now, monotonic: () => seconds(1) }

function make(tasks: readonly Task[], more: object = {}) {
  const store = (values: readonly unknown[]) => ({
    store: {
      values: () => values.values(),
      subscribe: (listener: (change: object) => void) => {
        for (const after of values) listener({ before: undefined, after })
      },
    },
  })
  const none = { providers: store([]), clusterPolicies: store([]), namespacePolicies: store([]) }
  const watching = { tasks: store(tasks), ...none, all: () => [], ...more }
  const operator = {
    watching,
    ledger: { rows: () => [] },
    queue: { depth: () => ({}), oldest: () => undefined },
    active: () => true,
    measured: { census: countTasks(store(tasks).store as never), held: () => [], ledgerLimit: 10, policyChangedAt: () => now },
  }
  return createSnapshot(() => operator as unknown as Operator)
}

const held = (over: Partial<CredentialRecord> = {}): CredentialRecord => ({
  name: 'api',
  provider: { kind: 'ClusterCredentialProvider', name: 'corp', uid: uids.provider, type: 'jwt' },
  attempt: 1,
  statusList: undefined,
  handle: undefined,
  issuedAt: t0,
  expiresAt: plus(now, seconds(300)),
  renewAt: undefined,
  revocation: { class: 'Checked', bound: seconds(15) },
  revokedAt: undefined,
  ...over,
})
const condition = (type: Condition['type'], reason: Condition['reason'], change: Partial<Condition> = {}): Condition => ({
  type,
  status: 'False',
  reason,
  message: '',
  observedGeneration: 1,
  lastTransitionTime: t0,
  ...change,
})
const delivered = { ...emptyRecord, attempt: 1, secret: { name: 's', uid: uids.secret, attempt: 1 }, credentials: [held()] }

const rows = (task: Task) => [...make([task]).tasks()].map((row) => ({ ...row, credentials: [...row.credentials] }))

describe('a task is shown', () => {
  test('by its Ready condition, with its credentials that are not known to be dead', () => {
    const conditions = [condition('Ready', 'Active', { status: 'True' }), condition('Issued', 'Issued', { status: 'True' })]
    const record = { ...delivered, credentials: [held(), held({ name: 'dead', revokedAt: t0 })] }
    expect(rows(makeTask({ record, report: { ...emptyReport, conditions } }))).toEqual([
      {
        namespace: 'finance',
        name: 'close',
        state: 'Active',
        waiting: undefined,
        deletedAt: undefined,
        credentials: [
          { name: 'api', provider: 'corp', expiresAt: plus(now, seconds(300)), lasting: false, state: 'Live', overdueAt: undefined },
        ],
      },
    ])
  })

  test('as new before anybody looked at it, and as waiting with what its Issued condition says', () => {
    expect(rows(makeTask())[0]).toMatchObject({ state: 'New', waiting: undefined })
    const conditions = [condition('Ready', 'Pending'), condition('Issued', 'ProviderNotReady')]
    expect(rows(makeTask({ report: { ...emptyReport, conditions } }))[0]).toMatchObject({
      waiting: { reason: 'ProviderNotReady', since: t0 },
    })
  })

  test.each([
    ['a minute after its end', 'Checked', plus(now, seconds(50))],
    ['never, where nothing but its expiry ends it', 'ExpireOnly', undefined],
  ] as const)('as overdue %s', (_, type, overdueAt) => {
    const credentials = [held({ revocation: { class: type, bound: seconds(1) } })]
    const record = { ...delivered, completedAt: minus(now, seconds(10)), credentials }
    expect(rows(makeTask({ record }))[0]?.credentials[0]).toMatchObject({ state: 'Revoking', overdueAt })
  })
})

test('a provider is ready where its condition says so, and not before it was looked at', () => {
  const values = [
    { name: 'a', ready: { status: 'True' } },
    { name: 'b', ready: { status: 'False' } },
    { name: 'c', ready: undefined },
  ]
  const snapshot = make([], { providers: { store: { values: () => values.values() } } })
  expect([...snapshot.providers()].map(({ name, ready }) => `${name} ${ready}`)).toEqual(['a true', 'b false', 'c false'])
})

test('a policy object is valid, outdated, broken, or not looked at yet', () => {
  const policy = (status: object, inForce?: object) => ({ status, inForce }) as unknown as PolicyObject
  const valid = (status: string) => ({ conditions: [{ type: 'Valid', status }] })
  const values = [policy({}), policy(valid('True'), {}), policy(valid('False'), {}), policy(valid('False'))]
  const snapshot = make([], { clusterPolicies: { store: { values: () => values.values() } } })
  expect([...snapshot.policies()].map(({ state }) => state)).toEqual(['New', 'Valid', 'Outdated', 'Broken'])
})

test('before there is an operator, nothing is there', () => {
  const snapshot = createSnapshot(() => undefined)
  expect([[...snapshot.tasks()], [...snapshot.policies()], snapshot.held(), snapshot.leader()]).toEqual([[], [], [], false])
})

test('a whole scrape of 100,000 credentials is under 64 kB and soon made', async () => {
  const conditions = [condition('Ready', 'Active', { status: 'True' }), condition('Issued', 'Issued', { status: 'True' })]
  const report = { ...emptyReport, conditions }
  const tasks = Array.from({ length: 100_000 }, (_, i) => {
    const namespace = `team-${i % 20}`
    const provider = { ...held().provider, name: `provider-${i % 3}` }
    const record = { ...delivered, credentials: [held({ provider, expiresAt: plus(now, seconds(i % 40_000)) })] }
    return makeTask({ namespace, name: `t${i}`, key: toTaskKey(namespace, `t${i}`), record, report })
  })
  const metrics = createMetrics({ clock, version: '0', revision: 'r', snapshot: make(tasks) })
  const times: number[] = []
  for (let i = 0; i < 15; i++) {
    const before = performance.now()
    expect((await metrics.scrape()).length).toBeLessThan(64_000)
    times.push(performance.now() - before)
  }
  metrics.close()
  console.log(`a scrape of 100,000 credentials: ${Math.min(...times).toFixed(1)} ms`)
})
