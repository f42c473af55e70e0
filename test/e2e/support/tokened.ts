// Tokens of ServiceAccounts on the real API server: a namespace that opted in, a provider and a permit, and ways to ask the API server what a
// token is worth to it and which anchors there are.

import { eventually } from '../../support/cluster.ts'
import { removeRows } from './rows.ts'
import type { Scenario } from './scenario.ts'

const api = '/apis/taskbound.dev/v1alpha1'
const rowsPath = `${api}/namespaces/taskbound-system/credentialleases`
const merge = { contentType: 'application/merge-patch+json' }

export interface Reviewed {
  readonly authenticated?: boolean
  readonly audiences?: readonly string[]
  readonly user?: { readonly username: string }
}

export interface Row {
  readonly handle: string
  readonly state: string
  readonly reference: string
  readonly message: string
}

export interface Tokened {
  readonly provider: string
  readonly audience: string
  /** the entry of `spec.credentials` */
  readonly credential: Readonly<Record<string, unknown>>
  /** Lets a namespace opt in: by its label, and by a Role for the operator. */
  optIn(namespace: string, what?: { readonly label?: boolean; readonly role?: boolean; readonly account?: string }): Promise<void>
  /** A task that asks for a token of `clerk`. */
  task(name?: string, spec?: Readonly<Record<string, unknown>>, credential?: Readonly<Record<string, unknown>>): Promise<string>
  /** What the API server says of a token that somebody shows with this audience; without one, as to itself. */
  review(token: string, audience?: string): Promise<Reviewed>
  /** Names of the anchors in the namespace. */
  anchors(): Promise<readonly string[]>
  rows(task: string): Promise<readonly Row[]>
  /**
   * Asks without a pause until the API server refuses the token. While it does not, the task may not be said to be revoked.
   * @returns the milliseconds from now until it did
   */
  refusedAfter(token: string, task: string | undefined, timeoutMs: number): Promise<number>
  close(): Promise<void>
}

// biome-ignore lint/suspicious/noExplicitAny: a test looks into whatever the token holds
export const claimsOf = (token: string): any => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())

export async function createTokened(scenario: Scenario): Promise<Tokened> {
  const { kube, namespace } = scenario
  const provider = `${scenario.name}-sat`
  const audience = `https://${provider}.example`
  await kube.must('POST', `${api}/clustercredentialproviders`, {
    apiVersion: 'taskbound.dev/v1alpha1',
    kind: 'ClusterCredentialProvider',
    metadata: { name: provider },
    spec: {
      type: 'serviceAccountToken',
      namespaces: { matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'Exists' }] },
      serviceAccountToken: { audiences: [audience], verification: 'TokenReview' },
    },
  })
  await kube.must('POST', `${api}/clusteragentpolicies`, {
    apiVersion: 'taskbound.dev/v1alpha1',
    kind: 'ClusterAgentPolicy',
    metadata: { name: provider },
    spec: { cedar: `@id("sat") permit (principal, action, resource == Taskbound::ClusterProvider::"${provider}");` },
  })

  const credential = { name: 'api', providerRef: { kind: 'ClusterCredentialProvider', name: provider }, audience, scopes: undefined }
  const tokened: Tokened = {
    provider,
    audience,
    credential,
    async optIn(where, { label = true, role = true, account = 'clerk' } = {}) {
      const labels = { 'policy.taskbound.dev/service-account-tokens': 'allowed' }
      if (label) await kube.must('PATCH', `/api/v1/namespaces/${where}`, { metadata: { labels } }, merge)
      if (!role) return
      const rbac = `/apis/rbac.authorization.k8s.io/v1/namespaces/${where}`
      const rules = [{ apiGroups: [''], resources: ['serviceaccounts/token'], resourceNames: [account], verbs: ['create'] }]
      await kube.must('POST', `${rbac}/roles`, { metadata: { name: account }, rules })
      const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: account }
      const subjects = [{ kind: 'ServiceAccount', name: 'taskbound', namespace: 'taskbound-system' }]
      await kube.must('POST', `${rbac}/rolebindings`, { metadata: { name: account }, roleRef, subjects })
    },
    task: (name, spec = {}, its = {}) =>
      scenario.task({
        ...(name === undefined ? {} : { name }),
        spec,
        credential: { ...credential, ...its },
      }),
    async review(token, its) {
      const { status } = await kube.must('POST', '/apis/authentication.k8s.io/v1/tokenreviews', {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenReview',
        spec: { token, ...(its === undefined ? {} : { audiences: [its] }) },
      })
      return status as Reviewed
    },
    async anchors() {
      const { items } = await kube.must('GET', scenario.path('secrets'))
      return (items as { metadata: { name: string } }[]).map(({ metadata }) => metadata.name).filter((name) => name.endsWith('.anchor'))
    },
    async rows(task) {
      const { items } = await kube.must('GET', rowsPath)
      type Item = {
        metadata: { name: string }
        spec: { task: { name: string; namespace: string } }
        status?: { state: string; reference?: string; message?: string }
      }
      return (items as Item[])
        .filter(({ spec }) => spec.task.name === task && spec.task.namespace === namespace)
        .map(({ metadata, status }) => ({
          handle: metadata.name,
          state: status?.state ?? 'Intended',
          reference: status?.reference ?? '',
          message: status?.message ?? '',
        }))
    },
    async refusedAfter(token, task, timeoutMs) {
      const begun = performance.now()
      let early = false
      await eventually(
        async () => {
          const { body } = task === undefined ? {} : await kube.request('GET', scenario.path('agenttasks', task))
          const conditions = (body?.status?.conditions ?? []) as { type: string; status: string }[]
          const said = conditions.some(({ type, status }) => type === 'Revoked' && status === 'True')
          const { authenticated } = await tokened.review(token, audience)
          if (authenticated !== true) return
          early ||= said
          throw new Error('the API server still lets it in')
        },
        { timeoutMs, everyMs: 100 },
      )
      if (early) throw new Error(`task ${task} was said to be revoked while the API server still let its token in`)
      return performance.now() - begun
    },
    async close() {
      await removeRows(kube, (spec) => spec.provider.name === provider)
      for (const plural of ['clusteragentpolicies', 'clustercredentialproviders'])
        await kube.request('DELETE', `${api}/${plural}/${provider}`)
    },
  }
  return tokened
}
