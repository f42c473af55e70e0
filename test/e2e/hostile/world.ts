// Where sinks and doors stand: an operator, and what has to go at the end.

import type { RunningOperator } from '../../support/operator.ts'
import type { Scenario } from '../support/scenario.ts'

const api = '/apis/taskbound.dev/v1alpha1'

export interface World {
  readonly scenario: Scenario
  readonly operator: RunningOperator
  /** Makes a ClusterCredentialProvider with its permit; answers its name. */
  provide(suffix: string, spec: object): Promise<string>
  /** A Secret of the operator's namespace, for who is at that origin. */
  secret(name: string, origin: string, stringData: Readonly<Record<string, string>>): Promise<void>
  /** Steps of the end: the last one is done first. */
  atEnd(step: () => unknown): void
  close(): Promise<void>
}

export function createWorld(scenario: Scenario, operator: RunningOperator): World {
  const { kube } = scenario
  const steps: (() => unknown)[] = []
  return {
    scenario,
    operator,
    async provide(suffix, spec) {
      const name = `${scenario.name}-${suffix}`
      const make = (plural: string, kind: string, its: object) =>
        kube.must('POST', `${api}/${plural}`, { apiVersion: 'taskbound.dev/v1alpha1', kind, metadata: { name }, spec: its })
      const namespaces = { matchLabels: { 'test.taskbound.dev/scenario': scenario.name } }
      await make('clustercredentialproviders', 'ClusterCredentialProvider', {
        namespaces,
        allowedAddresses: ['127.0.0.0/8', '::1'],
        ...spec,
      })
      const cedar = `@id("p") permit (principal in Taskbound::Namespace::"${scenario.namespace}", action, resource == Taskbound::ClusterProvider::"${name}");`
      await make('clusteragentpolicies', 'ClusterAgentPolicy', { cedar })
      steps.push(async () => {
        for (const plural of ['clusteragentpolicies', 'clustercredentialproviders'])
          await kube.request('DELETE', `${api}/${plural}/${name}`)
      })
      return name
    },
    async secret(name, origin, stringData) {
      const path = '/api/v1/namespaces/taskbound-system/secrets'
      await kube.must('POST', path, { metadata: { name, annotations: { 'taskbound.dev/origin': origin } }, stringData })
      steps.push(() => kube.request('DELETE', `${path}/${name}`))
    },
    atEnd: (step) => void steps.push(step),
    async close() {
      for (const step of steps.reverse()) await step()
    },
  }
}

export const credentialOf = (provider: string, ...scopes: readonly string[]) => ({
  providerRef: { kind: 'ClusterCredentialProvider', name: provider },
  audience: undefined,
  scopes,
})
