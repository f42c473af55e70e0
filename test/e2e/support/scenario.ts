// What an end-to-end test of tasks needs around them: a namespace with an agent, a provider and a permit, ways to end a task, and a
// verifier that checks tokens as the example resource server does, by the issuer's own documents.

import { createHash, randomBytes } from 'node:crypto'
import { Agent, request as requestTls } from 'node:https'
import { inflateSync } from 'node:zlib'
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import { type ConnectOptions, connect, eventually, type KubeTestClient } from '../../support/cluster.ts'
import { type OperatorOptions, type RunningOperator, startOperator } from '../../support/operator.ts'
import { removeRows } from './rows.ts'

export const audience = 'https://api.example'
const scope = 'read'
const api = '/apis/taskbound.dev/v1alpha1'
const merge = { contentType: 'application/merge-patch+json' }

export interface TaskOptions {
  readonly name?: string
  readonly agent?: string
  readonly workload?: { readonly apiVersion: string; readonly kind: string; readonly name: string }
  readonly spec?: Readonly<Record<string, unknown>>
  readonly credential?: Readonly<Record<string, unknown>>
}

export interface Condition {
  readonly type: string
  readonly status: string
  readonly reason: string
  readonly message: string
}

export interface Scenario {
  readonly kube: KubeTestClient
  readonly namespace: string
  /** name of the ClusterCredentialProvider and of the ClusterAgentPolicy of this scenario */
  readonly name: string
  path(plural: string, name?: string): string
  /** Creates a task and answers its name. */
  task(options?: TaskOptions): Promise<string>
  /** Creates a Job whose pods nobody runs and answers its name. */
  job(name?: string): Promise<string>
  /** Adds a condition to a Job's status, as its controller would. */
  condition(job: string, type: string): Promise<void>
  /** The reason of Ready, once it is one of those. */
  until(task: string, ...reasons: readonly string[]): Promise<Condition>
  conditions(task: string): Promise<Readonly<Record<string, Condition>>>
  patch(plural: string, name: string, patch: unknown): Promise<void>
  remove(plural: string, name: string): Promise<void>
  /** The token in the task's Secret; `undefined` while there is no Secret. */
  token(task: string): Promise<string | undefined>
  /** The token of a task that is to become Active. */
  active(task: string): Promise<string>
  secretGone(task: string): Promise<void>
  /** Replaces the permit of this scenario. */
  policy(cedar: string): Promise<void>
  readonly permit: string
  close(): Promise<void>
}

/**
 * @param access default: the cluster of the global set-up
 * @param installed whether the operator's roles are there already, from the chart
 */
export async function createScenario(prefix: string, access: ConnectOptions = {}, installed = false): Promise<Scenario> {
  const kube = connect(access)
  if (!installed) await kube.kubectl(['apply', '-f', 'test/support/rbac.yaml'])
  const name = `${prefix}-${randomBytes(3).toString('hex')}`
  const namespace = await kube.freshNamespace(prefix, { 'test.taskbound.dev/scenario': name })
  const path = (plural: string, object?: string): string => {
    const root = { secrets: '/api/v1', serviceaccounts: '/api/v1', pods: '/api/v1', jobs: '/apis/batch/v1' }[plural] ?? api
    return `${root}/namespaces/${namespace}/${plural}${object === undefined ? '' : `/${object}`}`
  }
  const permit = `@id("scenario") permit (principal in Taskbound::Namespace::"${namespace}", action, resource == Taskbound::ClusterProvider::"${name}");`
  const spec = {
    type: 'jwt',
    namespaces: { matchLabels: { 'test.taskbound.dev/scenario': name } },
    jwt: { profile: 'AccessToken', audiences: [`${audience}/${name}`], scopes: [scope] },
  }
  await kube.must('POST', `${api}/clustercredentialproviders`, {
    apiVersion: 'taskbound.dev/v1alpha1',
    kind: 'ClusterCredentialProvider',
    metadata: { name },
    spec,
  })
  await kube.must('POST', `${api}/clusteragentpolicies`, {
    apiVersion: 'taskbound.dev/v1alpha1',
    kind: 'ClusterAgentPolicy',
    metadata: { name },
    spec: { cedar: permit },
  })
  await kube.must('POST', path('serviceaccounts'), { metadata: { name: 'clerk' } })
  await kube.must('POST', path('agents'), agent('clerk'))

  const scenario: Scenario = {
    kube,
    namespace,
    name,
    path,
    permit,
    async task({
      name: task = `task-${randomBytes(3).toString('hex')}`,
      agent: by = 'clerk',
      workload,
      spec: more = {},
      credential = {},
    } = {}) {
      await kube.must('POST', path('agenttasks'), {
        apiVersion: 'taskbound.dev/v1alpha1',
        kind: 'AgentTask',
        metadata: { name: task },
        spec: {
          agentRef: { name: by },
          action: 'test.run',
          credentials: [
            {
              name: 'api',
              providerRef: { kind: 'ClusterCredentialProvider', name },
              audience: `${audience}/${name}`,
              scopes: [scope],
              ...credential,
            },
          ],
          ...(workload === undefined ? {} : { workloadRef: workload }),
          ...more,
        },
      })
      return task
    },
    async job(job = `job-${randomBytes(3).toString('hex')}`) {
      const pod = { metadata: {}, spec: { restartPolicy: 'Never', containers: [{ name: 'agent', image: 'none' }] } }
      // suspended, so that its controller makes no pods and leaves its conditions to the test
      await kube.must('POST', path('jobs'), {
        apiVersion: 'batch/v1',
        kind: 'Job',
        metadata: { name: job },
        spec: { suspend: true, template: pod },
      })
      return job
    },
    async condition(job, type) {
      await eventually(async () => {
        const { status } = await kube.must('GET', path('jobs', job))
        const [now, over] = [
          new Date().toISOString(),
          type === 'Complete' ? 'SuccessCriteriaMet' : type === 'Failed' ? 'FailureTarget' : undefined,
        ]
        const made = (t: string) => ({ type: t, status: 'True', lastTransitionTime: now, lastProbeTime: now, reason: 'Test', message: '' })
        const conditions = [...(status?.conditions ?? []), ...(over === undefined ? [] : [made(over)]), made(type)]
        const ended = type === 'Complete' || type === 'Failed'
        const times = ended ? { startTime: now, ...(type === 'Complete' ? { completionTime: now } : {}) } : {}
        await kube.must('PATCH', `${path('jobs', job)}/status`, { status: { ...times, conditions } }, merge)
      })
    },
    async until(task, ...reasons) {
      return eventually(
        async () => {
          const { Ready } = await scenario.conditions(task)
          if (Ready === undefined || !reasons.includes(Ready.reason)) throw new Error(`task ${task} is ${Ready?.reason}: ${Ready?.message}`)
          return Ready
        },
        { timeoutMs: 40_000 },
      )
    },
    async conditions(task) {
      const { status } = await kube.must('GET', path('agenttasks', task))
      return Object.fromEntries(((status?.conditions ?? []) as Condition[]).map((c) => [c.type, c]))
    },
    async patch(plural, object, patch) {
      await kube.must('PATCH', path(plural, object), patch, merge)
    },
    async remove(plural, object) {
      await kube.must('DELETE', path(plural, object), { propagationPolicy: 'Background' })
    },
    async token(task) {
      const { status, body } = await kube.request('GET', path('secrets', `taskbound-${task}`))
      if (status === 404) return undefined
      const value: unknown = body?.data?.api
      return typeof value === 'string' ? Buffer.from(value, 'base64').toString() : undefined
    },
    async active(task) {
      await scenario.until(task, 'Active')
      const token = await scenario.token(task)
      if (token === undefined) throw new Error(`task ${task} is Active and has no Secret`)
      return token
    },
    async secretGone(task) {
      await eventually(async () => {
        if ((await kube.request('GET', path('secrets', `taskbound-${task}`))).status !== 404)
          throw new Error(`the Secret of ${task} is still there`)
      })
    },
    async policy(cedar) {
      await kube.must('PATCH', `${api}/clusteragentpolicies/${name}`, { spec: { cedar } }, merge)
    },
    async close() {
      await removeRows(kube, (spec) => spec.task.namespace === namespace)
      for (const plural of ['clusteragentpolicies', 'clustercredentialproviders']) await kube.request('DELETE', `${api}/${plural}/${name}`)
      await kube.close()
    },
  }
  return scenario
}

export function agent(name: string, more: Readonly<Record<string, unknown>> = {}): object {
  return {
    apiVersion: 'taskbound.dev/v1alpha1',
    kind: 'Agent',
    metadata: { name },
    spec: { serviceAccountName: 'clerk', owner: 'team@example.com', ...more },
  }
}

/** By which a test tells secrets apart, and may name them. */
export const digest = (secret: string): string => createHash('sha256').update(secret).digest('hex').slice(0, 16)

/** Starts one operator and waits until it has taken over. */
export async function runOperator(options: Partial<OperatorOptions> = {}): Promise<RunningOperator> {
  const operator = await startOperator({ kubeconfig: process.env['KUBECONFIG'] ?? '', ...options })
  await operator.active()
  return operator
}

/**
 * Whether a token works for whoever checks everything, by a status list that is fetched anew: `live`, or why not.
 * @param currentDate what the verifier's clock shows, for its `exp`
 * @param replica whom of several to ask, as a Service would choose one; default the one at the issuer's own address
 */
export async function judge(issuer: string, token: string, currentDate = new Date(), replica = issuer): Promise<string> {
  const keys = createLocalJWKSet(JSON.parse(await get(`${replica}/keys`)) as JSONWebKeySet)
  const verified = await jwtVerify(token, keys, { issuer, typ: 'at+jwt', currentDate }).catch((error: Error) => error)
  if (verified instanceof Error) return verified.message
  const { uri, idx } = (verified.payload['status'] as { status_list: { uri: string; idx: number } }).status_list
  const list = await get(uri.replace(issuer, replica)).catch((error: Error) => error)
  if (list instanceof Error) return list.message
  const { payload } = await jwtVerify(list, keys, { typ: 'statuslist+jwt', subject: uri })
  const bits = inflateSync(Buffer.from((payload['status_list'] as { lst: string }).lst, 'base64url'))
  return (((bits[idx >> 3] ?? 0xff) >> (idx & 7)) & 1) === 0 ? 'live' : 'revoked'
}

// Certificates are the business of other tests; here the issuer is our own process on loopback.
const trusting = new Agent({ rejectUnauthorized: false })

/** What anybody may read of the issuer. */
export function get(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    requestTls(url, { agent: trusting }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => (response.statusCode === 200 ? resolve(text) : reject(new Error(`${url}: ${response.statusCode}`))))
    })
      .on('error', reject)
      .end()
  })
}
