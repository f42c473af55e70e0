// An authorization server beside the real API server: a provider at it, with its permit, and ways to see what a task has of it.

import type { JSONWebKeySet } from 'jose'
import type { Fake, Trusted } from '../../providers/oauth/fake.ts'
import type { RunningOperator } from '../../support/operator.ts'
import { removeRows } from './rows.ts'
import { get, type Scenario } from './scenario.ts'

const operatorNamespace = 'taskbound-system'
const api = '/apis/taskbound.dev/v1alpha1'
const rowsPath = `${api}/namespaces/${operatorNamespace}/credentialleases`

interface Row {
  readonly metadata: { readonly name: string }
  readonly spec: { readonly task: { readonly name: string; readonly namespace: string }; readonly provider: { readonly name: string } }
  readonly status?: { readonly state: string; readonly message?: string; readonly reference?: string }
}

export interface Authorized {
  /** the entry of `spec.credentials` */
  readonly credential: Readonly<Record<string, unknown>>
  /** Makes the provider at this server, and its permit. */
  provide(oauth: Readonly<Record<string, unknown>>): Promise<void>
  /** The same at a strict stand-in, which from now on takes the assertions and logins of this operator. */
  provideAt(fake: Fake, operator: Pick<RunningOperator, 'issuer'>): Promise<void>
  /** A task that asks for a token; answers its name. */
  task(name?: string, spec?: Readonly<Record<string, unknown>>): Promise<string>
  /** Rows of the ledger of one task. */
  rows(task: string): Promise<readonly Row[]>
  /** The Secrets in which tokens of a task are kept, as they are stored. */
  kept(task: string): Promise<readonly string[]>
  /** PEM of the authority of the operator's issuer */
  authority(): Promise<string>
  close(): Promise<void>
}

/** @param lifeSeconds what its tokens live, which the server alone decides */
export function createAuthorized(scenario: Scenario, lifeSeconds = 300): Authorized {
  const { kube } = scenario
  const name = `${scenario.name}-sso`
  const allRows = async (): Promise<readonly Row[]> => (await kube.must('GET', rowsPath)).items as Row[]
  const credential = {
    name: 'api',
    providerRef: { kind: 'ClusterCredentialProvider', name },
    audience: 'https://payroll-api.corp.example',
    scopes: ['payroll:read'],
    ttlSeconds: lifeSeconds,
  }
  const authorized: Authorized = {
    credential,
    async provide(oauth) {
      await kube.must('POST', `${api}/clustercredentialproviders`, {
        apiVersion: 'taskbound.dev/v1alpha1',
        kind: 'ClusterCredentialProvider',
        metadata: { name },
        spec: {
          type: 'oauth',
          namespaces: { matchLabels: { 'test.taskbound.dev/scenario': scenario.name } },
          allowedAddresses: ['127.0.0.0/8', '::1'],
          oauth: {
            clientId: 'taskbound',
            scopes: ['payroll:read'],
            audiences: [credential.audience],
            maxTTLSeconds: lifeSeconds,
            ...oauth,
          },
        },
      })
      await kube.must('POST', `${api}/clusteragentpolicies`, {
        apiVersion: 'taskbound.dev/v1alpha1',
        kind: 'ClusterAgentPolicy',
        metadata: { name },
        spec: {
          cedar: `@id("oauth") permit (principal in Taskbound::Namespace::"${scenario.namespace}", action, resource == Taskbound::ClusterProvider::"${name}");`,
        },
      })
    },
    async provideAt(fake, operator) {
      fake.trusted = await trustIn(operator)
      fake.life = lifeSeconds
      await authorized.provide({ issuer: fake.issuer, caBundle: fake.caBundle })
    },
    task: (task, spec = {}) => scenario.task({ ...(task === undefined ? {} : { name: task }), spec, credential }),
    rows: async (task) => (await allRows()).filter(({ spec }) => spec.task.name === task && spec.task.namespace === scenario.namespace),
    async kept(task) {
      const found = await Promise.all(
        (await authorized.rows(task)).map(({ metadata }) =>
          kube.request('GET', `/api/v1/namespaces/${operatorNamespace}/secrets/taskbound-kept-${metadata.name}`),
        ),
      )
      return found.flatMap(({ status, body }) => (status === 200 ? [JSON.stringify(body)] : []))
    },
    async authority() {
      const { data } = await kube.must('GET', `/api/v1/namespaces/${operatorNamespace}/configmaps/taskbound-issuer-ca-bundle`)
      return String(data['ca.crt'])
    },
    async close() {
      await removeRows(kube, (spec) => spec.provider.name === name)
      for (const plural of ['clusteragentpolicies', 'clustercredentialproviders']) await kube.request('DELETE', `${api}/${plural}/${name}`)
    },
  }
  return authorized
}

/** The keys that an operator publishes for those whom it asks. */
export async function trustIn({ issuer }: Pick<RunningOperator, 'issuer'>): Promise<Trusted> {
  const keysAt = async (path: string) => JSON.parse(await get(`${issuer}${path}`)) as JSONWebKeySet
  return { client: await keysAt('/client/keys'), login: await keysAt('/login/keys'), loginIssuer: `${issuer}/login` }
}
