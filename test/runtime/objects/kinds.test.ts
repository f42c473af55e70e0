import { describe, expect, test } from '@jest/globals'
import {
  readJob,
  readNamespace,
  readOther,
  readPod,
  readPolicy,
  readProvider,
  type Selector,
  selects,
} from '../../../src/runtime/objects/kinds.ts'

const metadata = { name: 'x', namespace: 'n', uid: 'u', resourceVersion: '7', generation: 2, creationTimestamp: '2026-01-01T00:00:00Z' }
const withConditions = (...conditions: readonly object[]) => ({ metadata, status: { conditions } })

describe('when a workload is over', () => {
  test.each([
    ['Complete', 'True', undefined, 'Succeeded'],
    ['SuccessCriteriaMet', 'True', undefined, 'Succeeded'],
    ['Failed', 'True', undefined, 'Failed'],
    ['FailureTarget', 'True', undefined, 'Failed'],
    ['Complete', 'False', undefined, undefined],
    ['Suspended', 'True', undefined, undefined],
    ['Succeeded', 'True', undefined, undefined],
  ])('a Job with %s=%s', (type, status, reason, finished) => {
    expect(readJob(withConditions({ type, status, reason }))?.finished).toBe(finished)
  })

  test('a Job that both met its criteria and failed has failed', () => {
    const both = [
      { type: 'Failed', status: 'True' },
      { type: 'SuccessCriteriaMet', status: 'True' },
    ]
    for (const order of [both, both.toReversed()]) expect(readJob(withConditions(...order))?.finished).toBe('Failed')
  })

  test.each([
    ['Complete', 'True', undefined, 'Succeeded'],
    ['Completed', 'True', undefined, 'Succeeded'],
    ['Finished', 'True', undefined, 'Succeeded'],
    ['Succeeded', 'True', undefined, 'Succeeded'],
    ['Failed', 'True', undefined, 'Failed'],
    ['Failed', 'False', undefined, undefined],
    ['Succeeded', 'False', 'PipelineRunTimeout', 'Failed'],
    ['Succeeded', 'False', 'Running', undefined],
    ['Succeeded', 'False', undefined, undefined],
    ['Succeeded', 'Unknown', 'Running', undefined],
    ['Ready', 'True', undefined, undefined],
  ])('another kind with %s=%s (%s)', (type, status, reason, finished) => {
    expect(readOther(withConditions({ type, status, reason }))?.finished).toBe(finished)
  })

  test.each([
    ['Succeeded', 'Succeeded'],
    ['Failed', 'Failed'],
    ['Running', undefined],
    ['Pending', undefined],
  ])('a Pod in phase %s', (phase, finished) => {
    const pod = { metadata: { ...metadata, labels: { 'taskbound.dev/task': 't' } }, status: { phase } }
    expect(readPod(pod)).toMatchObject({ task: 't', finished })
  })

  const volume = { secret: { secretName: 'taskbound-t' } }
  const projected = { projected: { sources: [{ serviceAccountToken: { path: 'token' } }, { secret: { name: 'taskbound-t' } }] } }
  const running = { containerStatuses: [{ state: { running: { startedAt: '2026-01-01T00:00:01Z' } } }] }
  const ended = { initContainerStatuses: [{ state: { terminated: { exitCode: 0 } } }], containerStatuses: [{ state: { waiting: {} } }] }
  test.each([
    ['runs with it', [volume], running, true],
    ['runs with it in a projected volume', [{ emptyDir: {} }, projected], running, true],
    ['has an init container that is over', [volume], ended, true],
    ['waits for it', [volume], { containerStatuses: [{ state: { waiting: { reason: 'ContainerCreating' } } }] }, false],
    ['is not on a node yet', [volume], {}, false],
    ['could do without it', [{ secret: { secretName: 'taskbound-t', optional: true } }], running, false],
    ['runs with that of another', [{ secret: { secretName: 'taskbound-u' } }], running, false],
    ['has none', undefined, running, false],
  ])('whether a Pod was given the Secret of its task: one that %s', (_name, volumes, status, givenSecret) => {
    const pod = { metadata: { ...metadata, labels: { 'taskbound.dev/task': 't' } }, spec: { volumes }, status }
    expect(readPod(pod)).toMatchObject({ givenSecret })
  })

  test('a Pod without the label is none of ours', () => {
    expect(readPod({ metadata })).toBeUndefined()
  })
})

describe('who a provider serves', () => {
  const selector = (over: Partial<Selector>): Selector => ({ matchLabels: {}, matchExpressions: [], ...over })
  const team = { team: 'a', tier: 'gold' }
  test.each([
    ['no selector: nobody', undefined, team, false],
    ['an empty selector: nobody', selector({}), team, false],
    ['a label that matches', selector({ matchLabels: { team: 'a' } }), team, true],
    ['one of two labels', selector({ matchLabels: { team: 'a', tier: 'silver' } }), team, false],
    ['In', selector({ matchExpressions: [{ key: 'team', operator: 'In', values: ['a', 'b'] }] }), team, true],
    ['In without the label', selector({ matchExpressions: [{ key: 'x', operator: 'In', values: ['a'] }] }), team, false],
    ['NotIn', selector({ matchExpressions: [{ key: 'team', operator: 'NotIn', values: ['a'] }] }), team, false],
    ['NotIn without the label', selector({ matchExpressions: [{ key: 'x', operator: 'NotIn', values: ['a'] }] }), team, true],
    ['Exists', selector({ matchExpressions: [{ key: 'team', operator: 'Exists', values: [] }] }), team, true],
    ['DoesNotExist', selector({ matchExpressions: [{ key: 'team', operator: 'DoesNotExist', values: [] }] }), team, false],
    ['an unknown operator: nobody', selector({ matchExpressions: [{ key: 'team', operator: 'Gt', values: ['0'] }] }), team, false],
  ])('%s', (_name, given, labels, expected) => {
    expect(selects(given, labels)).toBe(expected)
  })

  test('an explicit empty selector in the object is kept as one', () => {
    expect(readProvider({ metadata, spec: { type: 'jwt', namespaces: {}, jwt: {} } })?.namespaces).toEqual(selector({}))
    expect(readProvider({ metadata, spec: { type: 'jwt', jwt: {} } })?.namespaces).toBeUndefined()
  })
})

describe('what is read of other kinds', () => {
  test('only labels under the policy prefix are facts of a Namespace', () => {
    const labels = { 'policy.taskbound.dev/environment': 'prod', team: 'a' }
    expect(readNamespace({ metadata: { name: 'n', uid: 'u', labels } })).toMatchObject({ policyLabels: { environment: 'prod' }, labels })
  })

  test('a version in force counts only when it is whole', () => {
    const policy = (inForce: unknown) => readPolicy({ metadata, spec: { cedar: 'x' }, status: { inForce } })?.inForce
    expect(policy({ generation: 1, digest: 'd', text: 't' })).toEqual({ generation: 1, digest: 'd', text: 't' })
    for (const part of [undefined, {}, { generation: 1, digest: 'd' }, { generation: '1', digest: 'd', text: 't' }])
      expect(policy(part)).toBeUndefined()
  })

  test('an unknown mode is enforced', () => {
    expect(readPolicy({ metadata, spec: { cedar: 'x', mode: 'Audti' } })?.mode).toBe('Enforce')
  })

  test.each([undefined, null, 3, 'text', [], {}, { metadata: {} }, { metadata: { name: 1, uid: 2 } }])('%p is no object', (value) => {
    for (const read of [readJob, readOther, readPod, readNamespace, readPolicy, readProvider]) expect(read(value)).toBeUndefined()
  })
})
