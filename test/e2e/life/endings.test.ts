// Every way in which a task ends, on a real API server: with the operator running, and while no operator ran. After it the Secret is
// gone, the token is dead, the words are right, and nothing is issued again.

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { eventually } from '../../support/cluster.ts'
import type { RunningOperator } from '../../support/operator.ts'
import { agent, createScenario, judge, runOperator, type Scenario, type TaskOptions } from '../support/scenario.ts'

interface Prepared {
  readonly options: TaskOptions
  /** what ends the task */
  end(task: string): Promise<void>
}

interface Row {
  readonly what: string
  /** the reason of Ready, or `undefined` where the object is gone */
  readonly word: string | undefined
  readonly reason?: string
  prepare(scenario: Scenario, id: string): Promise<Prepared>
}

const job = (name: string) => ({ apiVersion: 'batch/v1', kind: 'Job', name })

const byJobCondition =
  (type: string): Row['prepare'] =>
  async (s, id) => {
    const name = await s.job(`job-${id}`)
    return { options: { workload: job(name) }, end: () => s.condition(name, type) }
  }

const byPodPhase =
  (phase: string): Row['prepare'] =>
  async (s, id) => ({
    options: { name: `pod-${id}`, workload: { apiVersion: 'v1', kind: 'Pod', name: `pod-${id}` } },
    async end(task) {
      const spec = { restartPolicy: 'Never', containers: [{ name: 'agent', image: 'none' }], serviceAccountName: 'clerk' }
      await s.kube.must('POST', s.path('pods'), { metadata: { name: `pod-${id}`, labels: { 'taskbound.dev/task': task } }, spec })
      await s.kube.must(
        'PATCH',
        `${s.path('pods', `pod-${id}`)}/status`,
        { status: { phase } },
        { contentType: 'application/merge-patch+json' },
      )
    },
  })

/** A kind that no chart knows: its conditions say that it is over. */
const bySuite =
  (conditions: readonly object[]): Row['prepare'] =>
  async (s, id) => {
    const path = `/apis/test.taskbound.dev/v1/namespaces/${s.namespace}/suites`
    await s.kube.must('POST', path, { apiVersion: 'test.taskbound.dev/v1', kind: 'Suite', metadata: { name: `suite-${id}` } })
    return {
      options: { workload: { apiVersion: 'test.taskbound.dev/v1', kind: 'Suite', name: `suite-${id}` } },
      async end() {
        await s.kube.must(
          'PATCH',
          `${path}/suite-${id}/status`,
          { status: { conditions } },
          { contentType: 'application/merge-patch+json' },
        )
      },
    }
  }

/** An agent and a ServiceAccount of its own, so that ending it ends no other row. */
async function ownAgent(s: Scenario, id: string): Promise<{ readonly by: string; readonly account: string }> {
  const [by, account] = [`agent-${id}`, `account-${id}`]
  await s.kube.must('POST', s.path('serviceaccounts'), { metadata: { name: account } })
  await s.kube.must('POST', s.path('agents'), agent(by, { serviceAccountName: account }))
  return { by, account }
}

const rows: readonly Row[] = [
  {
    what: 'a Job that met its success criteria',
    word: 'Completed',
    reason: 'WorkloadSucceeded',
    prepare: byJobCondition('SuccessCriteriaMet'),
  },
  { what: 'a Job that is complete', word: 'Completed', reason: 'WorkloadSucceeded', prepare: byJobCondition('Complete') },
  { what: 'a Job whose failure is certain', word: 'Failed', reason: 'WorkloadFailed', prepare: byJobCondition('FailureTarget') },
  { what: 'a Job that failed', word: 'Failed', reason: 'WorkloadFailed', prepare: byJobCondition('Failed') },
  { what: 'a Pod that succeeded', word: 'Completed', reason: 'WorkloadSucceeded', prepare: byPodPhase('Succeeded') },
  { what: 'a Pod that failed', word: 'Failed', reason: 'WorkloadFailed', prepare: byPodPhase('Failed') },
  {
    what: 'another kind that is Finished',
    word: 'Completed',
    reason: 'WorkloadSucceeded',
    prepare: bySuite([{ type: 'Finished', status: 'True' }]),
  },
  {
    what: 'another kind that did not succeed',
    word: 'Failed',
    reason: 'WorkloadFailed',
    prepare: bySuite([{ type: 'Succeeded', status: 'False', reason: 'Timeout' }]),
  },
  {
    what: 'a workload that is deleted',
    word: 'Failed',
    reason: 'WorkloadGone',
    async prepare(s, id) {
      const name = await s.job(`job-${id}`)
      return { options: { workload: job(name) }, end: () => s.remove('jobs', name) }
    },
  },
  {
    what: 'a workload that is replaced',
    word: 'Failed',
    async prepare(s, id) {
      const name = await s.job(`job-${id}`)
      return {
        options: { workload: job(name) },
        async end() {
          await s.remove('jobs', name)
          await eventually(() => s.job(name))
        },
      }
    },
  },
  {
    what: 'a workload that is being deleted and held by a finalizer',
    word: 'Failed',
    reason: 'WorkloadGone',
    async prepare(s, id) {
      const name = await s.job(`job-${id}`)
      await s.patch('jobs', name, { metadata: { finalizers: ['test.taskbound.dev/hold'] } })
      return { options: { workload: job(name) }, end: () => s.remove('jobs', name) }
    },
  },
  {
    what: '`spec.end: Completed`',
    word: 'Completed',
    reason: 'EndCompleted',
    prepare: async (s) => ({ options: {}, end: (task) => s.patch('agenttasks', task, { spec: { end: 'Completed' } }) }),
  },
  {
    what: '`spec.end: Cancelled`',
    word: 'Cancelled',
    reason: 'EndCancelled',
    prepare: async (s) => ({ options: {}, end: (task) => s.patch('agenttasks', task, { spec: { end: 'Cancelled' } }) }),
  },
  {
    what: 'a deleted task',
    word: undefined,
    prepare: async (s) => ({ options: {}, end: (task) => s.remove('agenttasks', task) }),
  },
  {
    what: 'a deleted task that a finalizer of somebody else holds',
    word: 'Cancelled',
    reason: 'TaskDeleted',
    prepare: async (s) => ({
      options: {},
      async end(task) {
        await s.patch('agenttasks', task, { metadata: { finalizers: ['test.taskbound.dev/hold'] } })
        await s.remove('agenttasks', task)
      },
    }),
  },
  {
    what: 'an agent that is deleted',
    word: 'Revoked',
    reason: 'AgentGone',
    async prepare(s, id) {
      const { by } = await ownAgent(s, id)
      return { options: { agent: by }, end: () => s.remove('agents', by) }
    },
  },
  {
    what: 'an agent that is replaced',
    word: 'Revoked',
    async prepare(s, id) {
      const { by, account } = await ownAgent(s, id)
      return {
        options: { agent: by },
        async end() {
          await s.remove('agents', by)
          await eventually(() => s.kube.must('POST', s.path('agents'), agent(by, { serviceAccountName: account })))
        },
      }
    },
  },
  {
    what: 'a ServiceAccount that is deleted',
    word: 'Revoked',
    reason: 'ServiceAccountGone',
    async prepare(s, id) {
      const { by, account } = await ownAgent(s, id)
      return { options: { agent: by }, end: () => s.remove('serviceaccounts', account) }
    },
  },
  {
    what: 'a ServiceAccount that is replaced',
    word: 'Revoked',
    async prepare(s, id) {
      const { by, account } = await ownAgent(s, id)
      return {
        options: { agent: by },
        async end() {
          await s.remove('serviceaccounts', account)
          await eventually(() => s.kube.must('POST', s.path('serviceaccounts'), { metadata: { name: account } }))
        },
      }
    },
  },
  {
    what: 'an agent that is given another ServiceAccount',
    word: 'Revoked',
    reason: 'ServiceAccountReplaced',
    async prepare(s, id) {
      const { by } = await ownAgent(s, id)
      return { options: { agent: by }, end: () => s.patch('agents', by, { spec: { serviceAccountName: 'clerk' } }) }
    },
  },
]

const suiteKind = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'suites.test.taskbound.dev' },
  spec: {
    group: 'test.taskbound.dev',
    scope: 'Namespaced',
    names: { plural: 'suites', singular: 'suite', kind: 'Suite' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      },
    ],
  },
}
const suiteRole = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRole',
  metadata: { name: 'taskbound-test-suites' },
  rules: [{ apiGroups: ['test.taskbound.dev'], resources: ['suites'], verbs: ['get', 'list', 'watch'] }],
}
const suiteBinding = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRoleBinding',
  metadata: { name: 'taskbound-test-suites' },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'taskbound-test-suites' },
  subjects: [{ kind: 'ServiceAccount', name: 'taskbound', namespace: 'taskbound-system' }],
}

interface Started {
  readonly row: Row
  readonly task: string
  readonly token: string
  end(): Promise<void>
}

let scenario: Scenario
let operator: RunningOperator

async function startAll(prefix: string): Promise<readonly Started[]> {
  return Promise.all(
    rows.map(async (row, i): Promise<Started> => {
      const { options, end } = await row.prepare(scenario, `${prefix}${i}`)
      const task = await scenario.task({ name: `${prefix}${i}`, ...options })
      const token = await scenario.active(task)
      return { row, task, token, end: () => end(task) }
    }),
  )
}

async function expectEnded({ row, task, token }: Started): Promise<void> {
  await scenario.secretGone(task)
  await eventually(async () => expect(await judge(operator.issuer, token)).toBe('revoked'))
  if (row.word === undefined) return
  const { Ready, Revoked, Complete, Failed } = await eventually(async () => {
    const found = await scenario.conditions(task)
    expect(found['Revoked']).toMatchObject({ status: 'True', reason: 'AllRevoked' })
    return found
  })
  expect([Ready?.reason, Revoked?.status]).toEqual([row.word, 'True'])
  expect([Complete?.status, Failed?.status]).toEqual(row.word === 'Completed' ? ['True', 'False'] : ['False', 'True'])
  if (row.reason !== undefined) expect([Complete?.reason, Failed?.reason]).toEqual([row.reason, row.reason])
}

beforeAll(async () => {
  scenario = await createScenario('endings')
  const { kube } = scenario
  await kube.must('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', suiteKind)
  await kube.must('POST', '/apis/rbac.authorization.k8s.io/v1/clusterroles', suiteRole)
  await kube.must('POST', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', suiteBinding)
  await eventually(() => kube.must('GET', `/apis/test.taskbound.dev/v1/namespaces/${scenario.namespace}/suites`))
  operator = await runOperator()
})

afterAll(async () => {
  await operator?.stop()
  const { kube } = scenario
  await kube.request('DELETE', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/suites.test.taskbound.dev')
  await kube.request('DELETE', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/taskbound-test-suites')
  await kube.request('DELETE', '/apis/rbac.authorization.k8s.io/v1/clusterroles/taskbound-test-suites')
  await scenario.close()
})

describe('with the operator running', () => {
  let started: readonly Started[]
  beforeAll(async () => {
    started = await startAll('a').catch((error: Error) => {
      throw new Error(`${error.message}\n${operator.output()}`)
    })
    await Promise.all(started.map(({ end }) => end()))
  })

  test.each(rows.map((row, i) => [row.what, i] as const))('%s ends its task', async (_what, i) => {
    await expectEnded(started[i] as Started)
  })
})

describe('while no operator ran', () => {
  let started: readonly Started[]
  beforeAll(async () => {
    started = await startAll('b')
    for (const { token } of started) expect(await judge(operator.issuer, token)).toBe('live')
    await operator.stop()
    await Promise.all(started.map(({ end }) => end()))
    operator = await runOperator({ issuerPort: operator.issuerPort })
  })

  test.each(rows.map((row, i) => [row.what, i] as const))('%s ended its task', async (_what, i) => {
    await expectEnded(started[i] as Started)
  })
})

test('a deleted namespace ends its tasks at once', async () => {
  const other = await createScenario('gone')
  try {
    const task = await other.task()
    const token = await other.active(task)
    await other.kube.must('DELETE', `/api/v1/namespaces/${other.namespace}`)
    await eventually(async () => expect(await judge(operator.issuer, token)).toBe('revoked'))
    await eventually(async () => expect((await other.kube.request('GET', `/api/v1/namespaces/${other.namespace}`)).status).toBe(404), {
      timeoutMs: 30_000,
    })
  } finally {
    await other.close()
  }
})

test('a workload that never appears ends its task when the starting deadline is over', async () => {
  const task = await scenario.task({ workload: job('never'), spec: { startingDeadlineSeconds: 3 } })
  const token = await scenario.active(task)
  await scenario.until(task, 'Failed')
  expect((await scenario.conditions(task))['Failed']).toMatchObject({ status: 'True', reason: 'WorkloadNeverSeen' })
  expect(await judge(operator.issuer, token)).toBe('revoked')
})

test('what is over stays over: nothing is issued again', async () => {
  const task = await scenario.task()
  await scenario.active(task)
  await scenario.patch('agenttasks', task, { spec: { end: 'Cancelled' } })
  await scenario.until(task, 'Cancelled')
  await scenario.patch('agenttasks', task, { spec: { suspend: true } })
  await scenario.patch('agenttasks', task, { spec: { suspend: false } })
  const before = await scenario.kube.must('GET', scenario.path('agenttasks', task))
  await operator.stop()
  operator = await runOperator({ issuerPort: operator.issuerPort })
  const sentinel = await scenario.task()
  await scenario.active(sentinel)
  const after = await scenario.kube.must('GET', scenario.path('agenttasks', task))
  expect(after.status.attempt).toBe(before.status.attempt)
  expect(await scenario.token(task)).toBeUndefined()
})
