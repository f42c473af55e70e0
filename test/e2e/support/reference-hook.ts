// The reference server of examples/webhook beside the real API server, with a provider and a permit. It fetches the keys of logins from the
// operator, as any would, and is itself asked what is alive.

import { Agent, get } from 'node:https'
import { text } from 'node:stream/consumers'
import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose'
import { createWebhookServer, type WebhookServer } from '../../../examples/webhook/webhook-server.ts'
import { ownCertificate } from '../../support/certificate.ts'
import type { Reached } from '../../support/faults/httpsproxy.ts'
import type { Scenario } from './scenario.ts'

const api = '/apis/taskbound.dev/v1alpha1'
const ledger = `${api}/namespaces/taskbound-system/credentialleases`
const operatorUser = 'system:serviceaccount:taskbound-system:taskbound'
export const hookAudience = 'https://keys.example'

export interface ReferenceHook {
  readonly server: WebhookServer
  /** name of the ClusterCredentialProvider */
  readonly name: string
  /** the entry of `spec.credentials` */
  readonly credential: Readonly<Record<string, unknown>>
  close(): Promise<void>
}

/** The keys of logins, fetched from the issuer that signs them. */
const keysOf =
  (issuer: string): JWTVerifyGetKey =>
  async (header, token) => {
    const answer = await new Promise<string>((resolve, reject) => {
      // certificates are the business of other tests
      get(`${issuer}/keys`, { agent: new Agent({ rejectUnauthorized: false }) }, (response) => resolve(text(response))).on('error', reject)
    })
    return createLocalJWKSet(JSON.parse(answer) as JSONWebKeySet)(header, token)
  }

/**
 * @param issuer URL of the issuer of logins
 * @param through where the operator is to reach the server, where something stands in between
 */
export async function createReferenceHook(
  scenario: Scenario,
  issuer: string,
  through: (reached: Reached) => Promise<Reached> = async (reached) => reached,
): Promise<ReferenceHook> {
  const { kube } = scenario
  const { cert, key, ca } = ownCertificate()
  const server = createWebhookServer({ tls: { cert, key }, issuer, audience: hookAudience, keys: keysOf(issuer) })
  const { address, caBundle } = await through({ address: `https://localhost:${await server.listen()}`, caBundle: ca })
  const name = `${scenario.name}-hook`
  await kube.must('POST', `${api}/clustercredentialproviders`, {
    apiVersion: 'taskbound.dev/v1alpha1',
    kind: 'ClusterCredentialProvider',
    metadata: { name },
    spec: {
      type: 'webhook',
      namespaces: { matchLabels: { 'test.taskbound.dev/scenario': scenario.name } },
      allowedAddresses: ['127.0.0.0/8', '::1'],
      webhook: { url: address, audience: hookAudience, scopes: ['orders:read'], caBundle },
    },
  })
  await kube.must('POST', `${api}/clusteragentpolicies`, {
    apiVersion: 'taskbound.dev/v1alpha1',
    kind: 'ClusterAgentPolicy',
    metadata: { name },
    spec: {
      cedar: `@id("hook") permit (principal in Taskbound::Namespace::"${scenario.namespace}", action, resource == Taskbound::ClusterProvider::"${name}");`,
    },
  })
  return {
    server,
    name,
    credential: { name: 'key', providerRef: { kind: 'ClusterCredentialProvider', name }, audience: undefined, scopes: ['orders:read'] },
    async close() {
      await server.close()
      // an operator of a later test would try for ever what can be asked nobody any more
      const { items } = await kube.must('GET', ledger)
      for (const { metadata, spec } of items as { metadata: { name: string }; spec: { provider: { name: string } } }[])
        if (spec.provider.name === name) await kube.request('DELETE', `${ledger}/${metadata.name}`, undefined, { as: operatorUser })
      for (const plural of ['clusteragentpolicies', 'clustercredentialproviders']) await kube.request('DELETE', `${api}/${plural}/${name}`)
    },
  }
}
