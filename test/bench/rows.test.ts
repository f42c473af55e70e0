// What 50,000 rows of the ledger cost a replica that has just taken over: memory beside the objects as they came, the time until each was
// looked at, and writes, of which there are none. The API server's part of a start is in docs/reference/benchmark-postgresql.md.

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, expect, test } from '@jest/globals'
import { handleOf } from '../../src/core/lease.ts'
import { asUid } from '../../src/core/names.ts'
import type { KubeObject } from '../../src/kube/objects.ts'
import { readLease } from '../../src/runtime/ledger/rows.ts'
import { makeLedger, namespace, prefix, providerObject } from '../runtime/ledger/make.ts'
import { t0 } from '../support/make.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
const [count, namespaces] = [50_000, 50]
const time = (ms: number): string => new Date(t0 + ms).toISOString().replace('.000Z', 'Z')
const handle = (i: number): string => handleOf(prefix, asUid(`task-${i}`), 'db', 1)

/** A row of today's, closed, as a watch brings it. */
const wire = (i: number): string =>
  JSON.stringify({
    apiVersion: 'taskbound.dev/v1alpha1',
    kind: 'CredentialLease',
    metadata: {
      name: handle(i),
      namespace,
      uid: `6f1c0d1e-0000-4000-8000-${String(i).padStart(12, '0')}`,
      resourceVersion: String(1_000_000 + i),
      creationTimestamp: time(-60_000),
      labels: { 'app.kubernetes.io/managed-by': 'taskbound' },
      managedFields: [
        {
          manager: 'taskbound',
          operation: 'Update',
          fieldsType: 'FieldsV1',
          fieldsV1: { 'f:spec': { 'f:handle': {}, 'f:task': { 'f:name': {}, 'f:uid': {} } } },
        },
        {
          manager: 'taskbound',
          operation: 'Update',
          subresource: 'status',
          fieldsV1: { 'f:status': { 'f:state': {}, 'f:closeTime': {} } },
        },
      ],
    },
    spec: {
      handle: handle(i),
      installation: prefix,
      task: { namespace: `team-${i % namespaces}`, name: `close-books-${i}`, uid: `task-${i}` },
      agent: 'payroll-clerk',
      action: 'payroll.reconcile',
      credential: 'db',
      attempt: 1,
      provider: { kind: 'ClusterCredentialProvider', name: 'corp', uid: 'provider-1', type: 'fake' },
      effectBy: time(-30_000),
    },
    status: {
      state: 'Revoked',
      issueTime: time(-50_000),
      expirationTime: time(500_000),
      revocationTime: time(-1000),
      closeTime: time(-1000),
    },
  })

let running: ReturnType<typeof makeLedger>['ledger'] | undefined
afterEach(() => running?.stop())

const held = (): number => {
  collect()
  return process.memoryUsage().heapUsed
}

test('50,000 rows fit, each is looked at after a takeover, and what is well is not written', async () => {
  const { ledger, leases, calls, provide, clock } = makeLedger()
  running = ledger
  Object.defineProperty(clock, 'mono', { get: () => performance.now() })
  provide(providerObject())
  const before = held()
  for (let i = 0; i < count; i += 1) {
    const object = JSON.parse(wire(i)) as KubeObject
    const { uid, resourceVersion } = object.metadata
    const value = readLease(object)
    if (value !== undefined) leases.observe('', { key: `${namespace}/${value.handle}`, uid, resourceVersion, value })
  }
  expect(leases.size).toBe(count)
  const began = performance.now()
  ledger.sweep()
  const turns: number[] = []
  let last = performance.now()
  turns.push(last - began)
  // what was looked at waits for the day on which its row goes
  for (let looked = 0; looked < 2000; looked += 1) {
    await new Promise((resolve) => setImmediate(resolve))
    const now = performance.now()
    turns.push(now - last)
    last = now
  }
  const longest = Math.max(...turns)
  const row = (held() - before) / count
  const all = turns.reduce((sum, turn) => sum + turn, 0)
  const sizes = `a row: ${Math.round(row)} bytes with all that is kept of it`
  console.log(`${sizes}; all were looked at in ${Math.round(all)} ms, the longest turn took ${Math.round(longest)} ms`)
  expect(calls.filter((call) => !call.startsWith('clean '))).toEqual([])
  expect(row * count).toBeLessThan(120 * 2 ** 20)
  // not in one turn of the event loop, in which a leader could not renew its lease
  expect(turns.filter((turn) => turn > 3).length).toBeGreaterThan(5)
})
