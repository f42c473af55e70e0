// Where sinks and doors stand: an operator, and what has to go at the end.

import type { RunningOperator } from '../../support/operator.ts'
import { provide } from '../support/provided.ts'
import type { Scenario } from '../support/scenario.ts'

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
      steps.push(await provide(scenario, name, { allowedAddresses: ['127.0.0.0/8', '::1'], ...spec }))
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
