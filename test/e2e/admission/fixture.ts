// What the admission tests share: who acts, the smallest objects, rights for one test, and waiting until a policy is in force.
// Must not leave a policy switched off: all end-to-end tests share one API server.

import { readFile } from 'node:fs/promises'
import { expect } from '@jest/globals'
import { eventually, type KubeTestClient, type Reply, type RequestOptions } from '../../support/cluster.ts'

export const operator: RequestOptions = { as: 'system:serviceaccount:taskbound-system:taskbound' }
export const core = (namespace: string): string => `/api/v1/namespaces/${namespace}`
export const ours = (namespace: string): string => `/apis/taskbound.dev/v1alpha1/namespaces/${namespace}`
export const cluster = (plural: string): string => `/apis/taskbound.dev/v1alpha1/${plural}`
/** The same request, changing nothing. */
export const dry = (path: string): string => `${path}${path.includes('?') ? '&' : '?'}dryRun=All`

/** One line of a table: a request, who makes it, and the sentence that refuses it (absent: it is allowed). */
export interface Row {
  readonly name: string
  readonly as?: RequestOptions
  readonly method: 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly body?: unknown
  readonly refused?: string
}

export function expectRefused(reply: Reply, sentence: string): void {
  expect(`${reply.status} ${reply.body?.message}`).toContain(sentence)
  expect([403, 422]).toContain(reply.status)
}

export function expectAllowed(reply: Reply): void {
  expect(reply.status < 300 ? 'allowed' : `${reply.status} ${reply.body?.message}`).toBe('allowed')
}

/** Makes the request of one row and checks the answer. */
export async function check(kube: KubeTestClient, row: Row): Promise<void> {
  const reply = await kube.request(row.method, row.path, row.body, row.as)
  if (row.refused === undefined) expectAllowed(reply)
  else expectRefused(reply, row.refused)
}

const support = new URL('../../support/', import.meta.url)
const admission = new URL('../../../crds/admission/', import.meta.url)

/** Gives the operator its namespace and rights, as an installation would. */
export async function installOperator(kube: KubeTestClient): Promise<void> {
  await apply(kube, await readFile(new URL('rbac.yaml', support), 'utf8'))
}

/** Applies one file of crds/admission again; wait with `inForce` afterwards. */
export async function putBack(kube: KubeTestClient, name: string): Promise<void> {
  await apply(kube, await readFile(new URL(`${name}.yaml`, admission), 'utf8'))
}

async function apply(kube: KubeTestClient, stdin: string): Promise<void> {
  const ran = await kube.kubectl(['apply', '--server-side', '--force-conflicts', '-f', '-'], { stdin })
  if (ran.code !== 0) throw new Error(ran.stderr)
}

/** Waits until a row is answered as it says: a policy that was just written acts a moment later. The row should be a dry run. */
export async function inForce(kube: KubeTestClient, row: Row): Promise<void> {
  await eventually(() => check(kube, row), { timeoutMs: 30_000, everyMs: 100 })
}

export interface PolicyRule {
  readonly apiGroups: readonly string[]
  readonly resources: readonly string[]
  readonly verbs: readonly string[]
  readonly resourceNames?: readonly string[]
}

let grants = 0

/** Lets a user do something in one namespace, or everywhere when `namespace` is absent. Answers how it is taken back. */
export async function grant(
  kube: KubeTestClient,
  user: string,
  namespace: string | undefined,
  rules: readonly PolicyRule[],
): Promise<() => Promise<void>> {
  const kind = namespace === undefined ? 'ClusterRole' : 'Role'
  const base = `/apis/rbac.authorization.k8s.io/v1/${namespace === undefined ? '' : `namespaces/${namespace}/`}`
  const name = `test-${Date.now().toString(36)}-${grants++}`
  await kube.must('POST', `${base}${kind.toLowerCase()}s`, { metadata: { name }, rules })
  await kube.must('POST', `${base}${kind.toLowerCase()}bindings`, {
    metadata: { name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name },
    subjects: [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: user }],
  })
  return async () => {
    for (const plural of [`${kind.toLowerCase()}bindings`, `${kind.toLowerCase()}s`]) await kube.must('DELETE', `${base}${plural}/${name}`)
  }
}

interface Meta {
  readonly name: string
  readonly [key: string]: unknown
}

/** The barest AgentTask. */
export function task(
  name: string,
  spec: Readonly<Record<string, unknown>> = {},
): { readonly metadata: Meta; readonly [key: string]: unknown } {
  return {
    apiVersion: 'taskbound.dev/v1alpha1',
    kind: 'AgentTask',
    metadata: { name },
    spec: {
      agentRef: { name: 'clerk' },
      action: 'test.act',
      credentials: [{ name: 'api', providerRef: { kind: 'ClusterCredentialProvider', name: 'corp' } }],
      ...spec,
    },
  }
}

/** Makes an AgentTask and answers what a Secret of it needs. */
export async function makeTask(
  kube: KubeTestClient,
  namespace: string,
  name: string,
): Promise<{ readonly uid: string; readonly name: string }> {
  const { metadata } = await kube.must('POST', `${ours(namespace)}/agenttasks`, task(name))
  return { uid: metadata.uid, name }
}

/** A Secret as the operator makes it; members given replace its own, in `metadata` one by one. */
export function secretOf(
  owner: { readonly uid: string; readonly name: string },
  attempt: number,
  change: { readonly metadata?: Readonly<Record<string, unknown>>; readonly [key: string]: unknown } = {},
): { readonly metadata: Readonly<Record<string, unknown>>; readonly [key: string]: unknown } {
  const { metadata, ...rest } = change
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'Opaque',
    data: { api: Buffer.from(`attempt ${attempt}`).toString('base64') },
    ...rest,
    metadata: {
      name: `taskbound-${owner.name}`,
      labels: { 'taskbound.dev/task-uid': owner.uid },
      annotations: { 'taskbound.dev/attempt': String(attempt) },
      ownerReferences: [{ apiVersion: 'taskbound.dev/v1alpha1', kind: 'AgentTask', name: owner.name, uid: owner.uid, controller: true }],
      ...metadata,
    },
  }
}
