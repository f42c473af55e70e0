// What one task costs the memory of a replica: its record in the store against the object that came over the wire.
// A ratio, since the bytes themselves are those of one version of Node.

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from '@jest/globals'
import { asUid } from '../../src/core/names.ts'
import { type KubeObject, keyOf } from '../../src/kube/objects.ts'
import { createStore } from '../../src/kube/store.ts'
import { at, seconds } from '../../src/lib/instant.ts'
import { readTask, writeStatus } from '../../src/runtime/objects/task.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const count = 5_000
const time = at(Date.parse('2026-11-02T09:00:00Z'))
const uid = (kind: number, i: number): string => `6f1c0d1e-0000-4000-800${kind}-${String(i).padStart(12, '0')}`
const condition = (type: 'Ready' | 'Authorized' | 'Issued' | 'Revoked') =>
  ({ type, status: 'True', reason: 'Active', message: '', observedGeneration: 1, lastTransitionTime: time }) as const

/** An active task as a watch brings it, with the managed fields of who created it and of its status. */
function wire(i: number): string {
  const name = `close-books-${i}`
  const provider = { kind: 'ClusterCredentialProvider', name: 'corp' }
  const status = writeStatus(
    {
      bound: { agent: asUid(uid(1, 0)), serviceAccount: asUid(uid(2, 0)), workload: asUid(uid(3, i)) },
      startedAt: time,
      deadlineAt: at(time + 3_600_000),
      completedAt: undefined,
      completion: undefined,
      requestDigest: `sha256:${'a1'.repeat(32)}`,
      attempt: 1,
      secret: { name: `taskbound-${name}`, uid: asUid(uid(4, i)), attempt: 1 },
      withdrawnAttempt: 0,
      credentials: [
        {
          name: 'api',
          provider: { ...provider, uid: asUid(uid(5, 0)), type: 'jwt' },
          attempt: 1,
          statusList: { uri: 'https://issuer.example/status-lists/0', index: i },
          handle: undefined,
          issuedAt: time,
          expiresAt: at(time + 600_000),
          renewAt: at(time + 400_000),
          revocation: { class: 'Checked', bound: seconds(75) },
          revokedAt: undefined,
        },
      ],
    },
    {
      observedGeneration: 1,
      conditions: [condition('Ready'), condition('Authorized'), condition('Issued'), condition('Revoked')],
      decision: {
        allowed: true,
        reason: 'Allowed',
        policies: ['ClusterAgentPolicy/corp/clerks'],
        digest: `sha256:${'b2'.repeat(32)}`,
        time,
      },
      expiresAt: at(time + 600_000),
    },
  )
  const spec = {
    agentRef: { name: 'payroll-clerk' },
    action: 'payroll.reconcile',
    purpose: 'Reconcile November payroll',
    context: { dataSensitivity: 'Confidential', destinations: ['payroll-api.corp.example'] },
    credentials: [
      { name: 'api', providerRef: provider, audience: 'https://payroll-api.corp.example', scopes: ['payroll:read'], ttlSeconds: 600 },
    ],
    workloadRef: { apiVersion: 'batch/v1', kind: 'Job', name },
    activeDeadlineSeconds: 3600,
    requestedBy: {
      username: 'system:serviceaccount:payroll:scheduler',
      uid: uid(6, 0),
      groups: ['system:serviceaccounts', 'system:authenticated'],
    },
  }
  const fields = (value: unknown): unknown =>
    typeof value === 'object' && value !== null
      ? Object.fromEntries(Object.entries(value).map(([key, inner]) => [`f:${key}`, fields(inner)]))
      : {}
  const managed = (manager: string, part: object) => ({
    manager,
    operation: 'Update',
    apiVersion: 'taskbound.dev/v1alpha1',
    time: '2026-11-02T09:00:00Z',
    fieldsType: 'FieldsV1',
    fieldsV1: fields(part),
  })
  return JSON.stringify({
    apiVersion: 'taskbound.dev/v1alpha1',
    kind: 'AgentTask',
    metadata: {
      name,
      namespace: 'payroll',
      uid: uid(7, i),
      resourceVersion: String(1_000_000 + i),
      generation: 1,
      creationTimestamp: '2026-11-02T09:00:00Z',
      managedFields: [managed('scheduler', { spec }), { ...managed('taskbound', { status }), subresource: 'status' }],
    },
    spec,
    status,
  })
}

/** Bytes of heap for each object that `keep` holds on to. */
function each(keep: (object: KubeObject) => void): number {
  collect()
  const before = process.memoryUsage().heapUsed
  for (let i = 0; i < count; i += 1) keep(JSON.parse(wire(i)) as KubeObject)
  collect()
  return (process.memoryUsage().heapUsed - before) / count
}

test('a task in the store costs less than half of the object that came over the wire', () => {
  const whole: KubeObject[] = []
  const object = each((one) => whole.push(one))
  const store = createStore<unknown>()
  store.snapshot('')
  const record = each((one) => {
    const { uid: id, resourceVersion } = one.metadata
    store.observe('', { key: keyOf(one.metadata), uid: id, resourceVersion, value: readTask(one) })
  })
  console.log(`a task: ${Math.round(object)} bytes as it came, ${Math.round(record)} in the store`)
  expect([whole.length, store.size]).toEqual([count, count])
  expect(record / object).toBeLessThan(0.5)
})
