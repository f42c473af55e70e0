// A service of the kind that a provider of type `webhook` asks, beside the real API server, whose answers a test decides; with a provider and
// a permit. What it is asked is kept. Unlike the reference server it believes every login: who it is told of is another test's business.

import { randomBytes } from 'node:crypto'
import { createServer } from 'node:https'
import { ownCertificate } from '../../support/certificate.ts'
import { listening } from '../../support/listening.ts'
import { removeRows } from './rows.ts'
import type { Scenario } from './scenario.ts'

const api = '/apis/taskbound.dev/v1alpha1'

export interface HookAsked {
  readonly call: string
  readonly authorization: string
  readonly body: Readonly<Record<string, unknown>>
}

export interface Hooked {
  /** name and UID of the ClusterCredentialProvider */
  readonly name: string
  readonly uid: string
  /** the entry of `spec.credentials` */
  readonly credential: Readonly<Record<string, unknown>>
  readonly asked: readonly HookAsked[]
  /** keys that work now, by handle */
  alive(): ReadonlyMap<string, string>
  /** A task that asks for a key. */
  task(name?: string, spec?: Readonly<Record<string, unknown>>): Promise<string>
  close(): Promise<void>
}

export interface HookedOptions {
  /** told apart where a scenario has several */
  readonly suffix?: string
  /** whether this call is never answered */
  readonly holds?: (asked: HookAsked) => boolean
  /** where the operator is to reach it, where something stands in between */
  readonly through?: (port: number) => Promise<number>
  /** namespaces beside the scenario's that may use it */
  readonly namespaces?: readonly string[]
}

const made = { issue: true, renew: true } as const

export async function createHooked(scenario: Scenario, options: HookedOptions = {}): Promise<Hooked> {
  const { kube } = scenario
  const { suffix = 'hook', holds = () => false, through = async (port) => port, namespaces = [] } = options
  const name = `${scenario.name}-${suffix}`
  const audience = `https://${name}.example`
  const keys = new Map<string, string>()
  const asked: HookAsked[] = []

  function answer(call: string, { handle = '', expiresAt }: Readonly<Record<string, unknown>>): object {
    const of = String(handle)
    if (call in made) {
      const key = keys.get(of) ?? randomBytes(24).toString('base64url')
      keys.set(of, key)
      return { fields: { key }, expiresAt }
    }
    if (call === 'revoke') keys.delete(of)
    if (call === 'inspect') return { state: keys.has(of) ? 'Live' : 'Revoked' }
    return call === 'ready' ? { contract: 'v1' } : call === 'list' ? { handles: [...keys.keys()] } : {}
  }

  const { cert, key, ca } = ownCertificate()
  const server = createServer({ cert, key }, (request, response) => {
    let text = ''
    request.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
    request.on('end', () => {
      const call = (request.url ?? '').split('/').at(-1) ?? ''
      const one = { call, authorization: request.headers.authorization ?? '', body: JSON.parse(text) as HookAsked['body'] }
      asked.push(one)
      if (!holds(one)) response.end(JSON.stringify(answer(call, one.body)))
    })
  })
  const port = await through(await listening(server))

  const provider = await kube.must('POST', `${api}/clustercredentialproviders`, {
    apiVersion: 'taskbound.dev/v1alpha1',
    kind: 'ClusterCredentialProvider',
    metadata: { name },
    spec: {
      type: 'webhook',
      namespaces: { matchLabels: { 'test.taskbound.dev/scenario': scenario.name } },
      allowedAddresses: ['127.0.0.0/8', '::1'],
      webhook: { url: `https://localhost:${port}`, audience, scopes: ['orders:read'], caBundle: ca },
    },
  })
  await kube.must('POST', `${api}/clusteragentpolicies`, {
    apiVersion: 'taskbound.dev/v1alpha1',
    kind: 'ClusterAgentPolicy',
    metadata: { name },
    spec: {
      cedar: [scenario.namespace, ...namespaces]
        .map(
          (home) =>
            `@id("${home}") permit (principal in Taskbound::Namespace::"${home}", action, resource == Taskbound::ClusterProvider::"${name}");`,
        )
        .join('\n'),
    },
  })
  const credential = {
    name: 'api',
    providerRef: { kind: 'ClusterCredentialProvider', name },
    audience: undefined,
    scopes: ['orders:read'],
  }
  return {
    name,
    uid: String(provider.metadata.uid),
    credential,
    asked,
    alive: () => keys,
    task: (task, spec = {}) => scenario.task({ ...(task === undefined ? {} : { name: task }), spec, credential }),
    async close() {
      await removeRows(kube, (spec) => spec.provider.name === name)
      for (const plural of ['clusteragentpolicies', 'clustercredentialproviders']) await kube.request('DELETE', `${api}/${plural}/${name}`)
      server.closeAllConnections()
      server.close()
    },
  }
}
