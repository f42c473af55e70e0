// A real Vault, with a real PostgreSQL behind it, beside the real API server: set up as docs/how-to/vault.md says, with a provider, a permit
// and ways to ask Vault and the database what is alive.

import { letsIn, path, roles, setUpVault } from '../../providers/vault/real.ts'
import { eventually } from '../../support/cluster.ts'
import type { RunningOperator } from '../../support/operator.ts'
import { type Postgres, startPostgres } from '../../support/postgres/server.ts'
import { startVault, type Vault } from '../../support/vault/server.ts'
import { removeRows } from './rows.ts'
import type { Scenario } from './scenario.ts'

const operatorNamespace = 'taskbound-system'
const api = '/apis/taskbound.dev/v1alpha1'
const rowsPath = `${api}/namespaces/${operatorNamespace}/credentialleases`

export type Given = Readonly<Record<'username' | 'password', string>>

export interface Vaulted {
  readonly vault: Vault
  readonly database: Postgres
  /** the entry of `spec.credentials` */
  readonly credential: Readonly<Record<string, unknown>>
  /** Lets Vault trust an operator's login tokens, and makes the provider. */
  trust(operator: RunningOperator): Promise<void>
  /** Makes another provider, for values of a KV engine, with its permit; answers its name. */
  values(path: string): Promise<string>
  /** A task that asks for a database role. */
  task(name?: string, spec?: Readonly<Record<string, unknown>>): Promise<string>
  /** What the Secret of a task holds, once it is Active. */
  active(task: string): Promise<Given>
  works(given: Given): Promise<boolean>
  /** Roles that can log in at the database. */
  alive(): Promise<readonly string[]>
  /** Rows of the ledger of one task, by handle. */
  rows(task: string): Promise<readonly { readonly handle: string; readonly state: string; readonly reference: string }[]>
  /** Waits until these roles and their leases, and no others, are alive. */
  onlyAlive(...usernames: readonly string[]): Promise<void>
  close(): Promise<void>
}

/** @param through where the operator is to reach Vault, where something stands in between */
export async function createVaulted(
  scenario: Scenario,
  through: (vault: Vault) => Promise<{ readonly address: string; readonly caBundle: string }> = async ({ address, ca }) => ({
    address,
    caBundle: ca,
  }),
): Promise<Vaulted> {
  const { kube } = scenario
  const name = `${scenario.name}-vault`
  const audience = `https://${name}.example`
  const [vault, database] = await Promise.all([startVault(), startPostgres()])
  const reached = await through(vault)
  const text = (value: string | undefined): string => Buffer.from(value ?? '', 'base64').toString()
  type Row = {
    metadata: { name: string }
    spec: { task: { name: string; namespace: string }; provider: { name: string } }
    status?: { state: string; reference?: string }
  }
  const allRows = async (): Promise<readonly Row[]> => (await kube.must('GET', rowsPath)).items as Row[]

  const credential = { name: 'db', providerRef: { kind: 'ClusterCredentialProvider', name }, audience: undefined, scopes: [path] }
  async function provide(provider: string, its: string, listed: { readonly path: string; readonly kind?: string }): Promise<void> {
    await kube.must('POST', `${api}/clustercredentialproviders`, {
      apiVersion: 'taskbound.dev/v1alpha1',
      kind: 'ClusterCredentialProvider',
      metadata: { name: provider },
      spec: {
        type: 'vault',
        namespaces: { matchLabels: { 'test.taskbound.dev/scenario': scenario.name } },
        allowedAddresses: ['127.0.0.0/8', '::1'],
        vault: { ...reached, role: 'payroll-tasks', operatorRole: 'taskbound-operator', audience: its, paths: [listed] },
      },
    })
    await kube.must('POST', `${api}/clusteragentpolicies`, {
      apiVersion: 'taskbound.dev/v1alpha1',
      kind: 'ClusterAgentPolicy',
      metadata: { name: provider },
      spec: {
        cedar: `@id("vault") permit (principal in Taskbound::Namespace::"${scenario.namespace}", action, resource == Taskbound::ClusterProvider::"${provider}");`,
      },
    })
  }

  const vaulted: Vaulted = {
    vault,
    database,
    credential,
    async trust(operator) {
      const { data } = await kube.must('GET', `/api/v1/namespaces/${operatorNamespace}/configmaps/taskbound-issuer-ca-bundle`)
      const issuer = { url: operator.issuer, ca: String(data['ca.crt']), trustDomain: new URL(operator.issuer).hostname, audience }
      const named = (commands: string): string =>
        commands
          .replaceAll('"payroll"', `"${scenario.namespace}"`)
          .replaceAll('"payroll-clerk"', '"clerk"')
          .replaceAll('["payroll.reconcile", "payroll.report"]', '"test.run"')
      await setUpVault(vault, database, issuer, named)
      await provide(name, audience, { path })
    },
    async values(valuePath) {
      const [other, theirs] = [`${name}-values`, `${audience}/values`]
      await vault.ask('PUT', 'sys/policies/acl/payroll-values', { policy: `path "${valuePath}" { capabilities = ["read"] }` })
      for (const role of ['payroll-tasks', 'taskbound-operator'])
        await vault.ask('POST', `auth/jwt/role/${role}`, { role_type: 'jwt', bound_audiences: [audience, theirs] })
      await vault.ask('POST', 'auth/jwt/role/payroll-tasks', { role_type: 'jwt', token_policies: ['payroll-tasks', 'payroll-values'] })
      await provide(other, theirs, { path: valuePath, kind: 'Static' })
      return other
    },
    task: (task, spec = {}) =>
      scenario.task({
        ...(task === undefined ? {} : { name: task }),
        spec,
        credential,
      }),
    async active(task) {
      await scenario.until(task, 'Active')
      const { data } = await kube.must('GET', scenario.path('secrets', `taskbound-${task}`))
      return { username: text(data['db.username']), password: text(data['db.password']) }
    },
    works: (given) => letsIn(database, given),
    alive: () => roles(database),
    rows: async (task) =>
      (await allRows())
        .filter(({ spec }) => spec.task.name === task && spec.task.namespace === scenario.namespace)
        .map(({ metadata, status }) => ({
          handle: metadata.name,
          state: status?.state ?? 'Intended',
          reference: status?.reference ?? '',
        })),
    async onlyAlive(...usernames) {
      const wanted = [...usernames].sort()
      await eventually(
        async () => {
          const alive = [...(await vaulted.alive())].sort()
          const leases = (await vault.leases(path)).length
          if (alive.join() !== wanted.join() || leases !== wanted.length)
            throw new Error(`alive are: ${alive.join(', ') || 'none'}, with ${leases} leases; wanted: ${wanted.join(', ') || 'none'}`)
        },
        // a role that Vault lost lives for its first minute
        { timeoutMs: 90_000, everyMs: 100 },
      )
    },
    async close() {
      await removeRows(kube, (spec) => spec.provider.name.startsWith(name))
      for (const plural of ['clusteragentpolicies', 'clustercredentialproviders'])
        for (const provider of [name, `${name}-values`]) await kube.request('DELETE', `${api}/${plural}/${provider}`)
      await Promise.all([vault.stop(), database.stop()])
    },
  }
  return vaulted
}
