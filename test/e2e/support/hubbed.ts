// A strict stand-in for GitHub beside the real API server, with a provider for it, a permit, and ways to ask it what is alive.

import type { KeyPairKeyObjectResult } from 'node:crypto'
import { request } from 'node:https'
import { app, type Fake, keys, pemOf, startFake } from '../../providers/github-app/fake.ts'
import { eventually } from '../../support/cluster.ts'
import type { Reached } from '../../support/faults/httpsproxy.ts'
import { removeRows } from './rows.ts'
import type { Scenario } from './scenario.ts'

const operatorNamespace = 'taskbound-system'
const api = '/apis/taskbound.dev/v1alpha1'
const rowsPath = `${api}/namespaces/${operatorNamespace}/credentialleases`
const secretsPath = `/api/v1/namespaces/${operatorNamespace}/secrets`

export interface Row {
  readonly handle: string
  readonly state: string
  readonly message: string
}

export interface Hubbed {
  readonly fake: Fake
  /** the entry of `spec.credentials` */
  readonly credential: Readonly<Record<string, unknown>>
  task(name: string, credential?: Readonly<Record<string, unknown>>): Promise<string>
  /** The token in the Secret of a task, once it is Active. */
  active(task: string): Promise<string>
  rows(task: string): Promise<readonly Row[]>
  /** What is kept sealed for rows of a task: names of Secrets. */
  kept(task: string): Promise<readonly string[]>
  onlyAlive(...tokens: readonly string[]): Promise<void>
  /** The status that GitHub has for who asks it so, such as `GET installation/repositories`, with this bearer. */
  ask(call: string, bearer: string): Promise<number>
  close(): Promise<void>
}

export interface HubbedOptions {
  /** told apart where a scenario has several */
  readonly suffix?: string
  /** of the App, where it is another one */
  readonly pair?: KeyPairKeyObjectResult
  /** by what address the provider reaches it; default its own */
  readonly reach?: (own: Reached) => Promise<Reached>
}

export async function createHubbed(
  scenario: Scenario,
  { suffix = 'github', pair = keys, reach = async (own) => own }: HubbedOptions = {},
): Promise<Hubbed> {
  const { kube } = scenario
  const fake = await startFake(pair)
  const { address, caBundle } = await reach({ address: `https://localhost:${fake.port}`, caBundle: fake.caBundle })
  const name = `${scenario.name}-${suffix}`
  const credential = {
    name: 'git',
    providerRef: { kind: 'ClusterCredentialProvider', name },
    github: { repositories: ['ledger'], permissions: { contents: 'read' } },
  }
  await kube.must('POST', secretsPath, {
    metadata: { name, annotations: { 'taskbound.dev/origin': new URL(address).host } },
    stringData: { 'private-key.pem': pemOf(pair) },
  })
  await kube.must('POST', `${api}/clustercredentialproviders`, {
    apiVersion: 'taskbound.dev/v1alpha1',
    kind: 'ClusterCredentialProvider',
    metadata: { name },
    spec: {
      type: 'githubApp',
      namespaces: { matchLabels: { 'test.taskbound.dev/scenario': scenario.name } },
      allowedAddresses: ['127.0.0.0/8', '::1'],
      githubApp: {
        apiUrl: address,
        caBundle,
        account: app.account,
        clientId: app.clientId,
        installationId: app.installationId,
        privateKeySecretRef: { name },
        repositories: ['ledger', 'reports'],
        permissions: { contents: 'write' },
      },
    },
  })
  await kube.must('POST', `${api}/clusteragentpolicies`, {
    apiVersion: 'taskbound.dev/v1alpha1',
    kind: 'ClusterAgentPolicy',
    metadata: { name },
    spec: {
      cedar: `@id("github")
permit (principal in Taskbound::Namespace::"${scenario.namespace}", action, resource == Taskbound::ClusterProvider::"${name}")
when { context has github && ["contents:read"].containsAll(context.github.permissions) };`,
    },
  })
  type Item = {
    metadata: { name: string }
    spec: { task: { name: string; namespace: string }; provider: { name: string } }
    status?: { state: string; message?: string }
  }
  const all = async (): Promise<readonly Item[]> => (await kube.must('GET', rowsPath)).items as Item[]

  const hubbed: Hubbed = {
    fake,
    credential,
    task: (task, change = {}) =>
      scenario.task({ name: task, spec: { activeDeadlineSeconds: 86_400, credentials: [{ ...credential, ...change }] } }),
    async active(task) {
      await scenario.until(task, 'Active')
      const { data } = await kube.must('GET', scenario.path('secrets', `taskbound-${task}`))
      return Buffer.from(data['git.token'] ?? '', 'base64').toString()
    },
    rows: async (task) =>
      (await all())
        .filter(({ spec }) => spec.task.name === task && spec.task.namespace === scenario.namespace)
        .map(({ metadata, status }) => ({
          handle: metadata.name,
          state: status?.state ?? 'Intended',
          message: status?.message ?? '',
        })),
    async kept(task) {
      const names = (await hubbed.rows(task)).map(({ handle }) => `taskbound-kept-${handle}`)
      const { items } = await kube.must('GET', secretsPath)
      return (items as { metadata: { name: string } }[]).map(({ metadata }) => metadata.name).filter((one) => names.includes(one))
    },
    onlyAlive: (...tokens) =>
      eventually(
        () => {
          const alive = fake.alive()
          if ([...alive].sort().join() !== [...tokens].sort().join()) throw new Error(`${alive.length} are alive, not ${tokens.length}`)
        },
        { timeoutMs: 40_000, everyMs: 50 },
      ),
    ask(call, bearer) {
      const [method, path] = call.split(' ')
      const headers = {
        authorization: `Bearer ${bearer}`,
        accept: 'application/vnd.github+json',
        'x-github-api-version': '2022-11-28',
        'user-agent': 'an agent',
      }
      return new Promise((resolve, reject) => {
        request({ host: 'localhost', port: fake.port, ca: fake.caBundle, method, path: `/${path}`, headers }, (answer) =>
          answer.resume().once('end', () => resolve(answer.statusCode ?? 0)),
        )
          .once('error', reject)
          .end()
      })
    },
    async close() {
      await removeRows(kube, (spec) => spec.provider.name === name)
      for (const plural of ['clusteragentpolicies', 'clustercredentialproviders']) await kube.request('DELETE', `${api}/${plural}/${name}`)
      await kube.request('DELETE', `${secretsPath}/${name}`)
      await fake.close()
    },
  }
  return hubbed
}
