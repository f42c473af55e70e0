// Each example is applied as its page says, does what it is for on a real API server, and ends as its page shows.

import { rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { eventually } from '../support/cluster.ts'
import type { RunningOperator } from '../support/operator.ts'
import { createDocumented, type Documented } from './support/documented.ts'
import { runOperator } from './support/scenario.ts'

const ours = ['taskbound-examples', 'taskbound-examples-worker', 'taskbound-quickstart']
const api = '/apis/taskbound.dev/v1alpha1'

let docs: Documented
let operator: RunningOperator

const taskPath = (task: string, namespace = 'taskbound-examples') => `${api}/namespaces/${namespace}/agenttasks/${task}`
const jobs = (name: string) => `batch.kubernetes.io/job-name=${name}`

/** Waits for the reason of Ready. */
async function becomes(task: string, reason: string, namespace?: string): Promise<void> {
  await eventually(
    async () => {
      const { status } = await docs.kube.must('GET', taskPath(task, namespace))
      const ready = status?.conditions?.find((condition: { type: string }) => condition.type === 'Ready')
      if (ready?.reason !== reason) throw new Error(`task ${task} is ${ready?.reason}, not ${reason}: ${ready?.message}`)
    },
    { timeoutMs: 20_000 },
  )
}

const secretOf = (task: string, namespace = 'taskbound-examples') =>
  docs.kube.request('GET', `/api/v1/namespaces/${namespace}/secrets/taskbound-${task}`)

beforeAll(async () => {
  docs = await createDocumented()
  await docs.shell('kubectl apply -f test/support/rbac.yaml')
  // who asked is believed only of tasks that are younger, by some seconds, than the check
  const { metadata } = await docs.kube.must(
    'GET',
    '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/taskbound-requester-check',
  )
  await sleep(Math.max(0, Date.parse(metadata.creationTimestamp) + 7_000 - Date.now()))
  await docs.commands('examples/base/README.md')
})

afterAll(async () => {
  await docs.shell(`kubectl delete namespace --ignore-not-found ${ours.join(' ')}`)
  await docs.shell('kubectl delete clusteragentpolicies,clustercredentialproviders --ignore-not-found examples quickstart')
  await docs.close()
})

describe('with an operator', () => {
  beforeAll(async () => {
    operator = await runOperator()
  })
  afterAll(() => operator?.stop())

  test('quickstart: the task dies with its Job, and one that asks for more is denied', async () => {
    await docs.commands('examples/quickstart/README.md')
    await becomes('close-books', 'Active', 'taskbound-quickstart')
    await docs.finish('taskbound-quickstart', jobs('close-books'))
    await docs.shows('examples/quickstart/README.md')
    expect((await secretOf('close-books', 'taskbound-quickstart')).status).toBe(404)
  })

  test('job: the Secret stays while one pod is replaced, and goes when the Job is complete', async () => {
    await docs.commands('examples/job/README.md')
    await becomes('parallel-report', 'Active')
    const index = (n: number) => `${jobs('parallel-report')},batch.kubernetes.io/job-completion-index=${n}`
    await docs.finish('taskbound-examples', index(0), 1, 'Failed')
    await docs.finish('taskbound-examples', index(0))
    expect((await secretOf('parallel-report')).status).toBe(200)
    for (const n of [1, 2]) await docs.finish('taskbound-examples', index(n))
    await docs.shows('examples/job/README.md')
    expect((await secretOf('parallel-report')).status).toBe(404)
  })

  test('pod: the task dies with the pod', async () => {
    await docs.commands('examples/pod/README.md')
    await becomes('one-report', 'Active')
    await docs.finish('taskbound-examples', 'taskbound.dev/task=one-report')
    await docs.shows('examples/pod/README.md')
    expect((await secretOf('one-report')).status).toBe(404)
  })

  test('cronjob: a run starts a task and a Job with no other right, twice over does no harm, and nobody else may ask for it', async () => {
    await docs.commands('examples/cronjob/README.md')
    await docs.shell('kubectl apply -f examples/cronjob/only-the-starter.yaml')
    const start = () => docs.program('examples/cronjob/cronjob.yaml', 'start.mjs', 'nightly-starter', { RUN: 'nightly-report-now' })
    const first = await start()
    await first.ended()
    await (await start()).ended()
    await first.says(/^task.yaml: created\njob.yaml: created\n$/)
    await docs.finish('taskbound-examples', jobs('nightly-report-now'))
    await becomes('nightly-report-now-run', 'Active')
    const secret = '/api/v1/namespaces/taskbound-examples/secrets/taskbound-nightly-report-now-run'
    expect(await docs.as('taskbound-examples', 'nightly-starter', 'GET', secret)).toBe(403)
    await docs.finish('taskbound-examples', jobs('nightly-report-now-run'))
    await docs.shows('examples/cronjob/README.md')

    const { spec } = await docs.kube.must('GET', taskPath('nightly-report-now-run'))
    expect(spec.requestedBy.username).toBe('system:serviceaccount:taskbound-examples:nightly-starter')
    const { requestedBy: _, workloadRef: __, ...mine } = spec
    const body = { apiVersion: 'taskbound.dev/v1alpha1', kind: 'AgentTask', metadata: { name: 'by-hand' }, spec: mine }
    await docs.kube.must('POST', taskPath(''), body)
    await becomes('by-hand', 'Denied')
  })

  test('worker: a task for each unit, ended after it, and what is alive dies with the pod', async () => {
    const namespace = 'taskbound-examples-worker'
    await docs.commands('examples/worker/README.md')
    const pod = await eventually(async () => {
      const { items } = await docs.kube.must('GET', `/api/v1/namespaces/${namespace}/pods?labelSelector=app%3Dworker`)
      if (items.length !== 1) throw new Error(`${items.length} pods`)
      return items[0].metadata.name as string
    })
    const env = { POD: pod, PAUSE_SECONDS: '6' }
    const worker = await docs.program('examples/worker/worker.yaml', 'worker.mjs', 'reporter', env)
    await worker.says(/north: worked[\s\S]*south: worked with a credential of \d{3,} characters/)
    await docs.shows('examples/worker/README.md')
    await worker.kill()

    const { items } = await docs.kube.must('GET', taskPath('', namespace))
    const { requestedBy: _, end: __, ...spec } = items[0].spec
    const body = { apiVersion: 'taskbound.dev/v1alpha1', kind: 'AgentTask', metadata: { name: 'unfinished' }, spec }
    await docs.kube.must('POST', taskPath('', namespace), body)
    await becomes('unfinished', 'Active', namespace)
    await docs.kube.must('DELETE', `/api/v1/namespaces/${namespace}/pods/${pod}`)
    await becomes('unfinished', 'Failed', namespace)
    expect((await secretOf('unfinished', namespace)).status).toBe(404)
  })

  test('orchestrator: the task is over when it says so, while the orchestrator goes on', async () => {
    await docs.commands('examples/orchestrator/README.md')
    const orchestrator = await docs.program('examples/orchestrator/orchestrator.yaml', 'orchestrate.mjs', 'orchestrator', {
      RUN: 'research',
    })
    for (const step of ['gather', 'summarize']) {
      await eventually(() => docs.kube.must('GET', `/api/v1/namespaces/taskbound-examples/pods/research-${step}`))
      await becomes('research', 'Active')
      const body = { status: { phase: 'Succeeded' } }
      await docs.kube.must('PATCH', `/api/v1/namespaces/taskbound-examples/pods/research-${step}/status`, body)
    }
    await orchestrator.says(/the credential is not needed any more/)
    await docs.shows('examples/orchestrator/README.md')
    const { status } = await docs.kube.must('GET', '/apis/batch/v1/namespaces/taskbound-examples/jobs/research')
    expect(status.conditions ?? []).toEqual([])
    expect((await secretOf('research')).status).toBe(404)
  })
})

describe('with an operator whose clock runs sixty times as fast', () => {
  let copying: NodeJS.Timeout | undefined
  beforeEach(async () => {
    operator = await runOperator({ preload: ['test/support/faults/fastclock.ts'], env: { FASTCLOCK: '60' } })
  })
  afterEach(async () => {
    clearInterval(copying)
    await operator?.stop()
  })

  test('long-task: the file changes before its credential dies, and the agent says so', async () => {
    await docs.commands('examples/long-task/README.md')
    await becomes('watch-reports', 'Active')
    const file = join(tmpdir(), `taskbound-watch-reports-${process.pid}`)
    // as a kubelet does: a reader sees the former file or the new one
    const refresh = async () => {
      const { body } = await secretOf('watch-reports')
      await writeFile(`${file}.next`, Buffer.from(body.data['reports-api'], 'base64'))
      await rename(`${file}.next`, file)
    }
    await refresh()
    copying = setInterval(() => void refresh().catch(() => undefined), 100)
    const env = { CREDENTIAL: file, EVERY_SECONDS: '0.05', WORK_SECONDS: '60' }
    const agent = await docs.program('examples/long-task/long-task.yaml', 'agent.mjs', 'reporter', env)
    await agent.says(/credential until .*\ncredential until .*\ncredential until /)
    await docs.finish('taskbound-examples', jobs('watch-reports'))
    await docs.shows('examples/long-task/README.md')
    await rm(file)
  })
})
