// Where ends are measured: one namespace, one operator with nothing between it and the sources, and a source of each type.

import { type RunningOperator, startOperator } from '../../support/operator.ts'
import { freeLease } from '../faults/tokens.ts'
import { createScenario, type Scenario } from '../support/scenario.ts'
import type { Source } from './subject.ts'
import { sources as starters } from './subjects.ts'

export interface Measuring {
  readonly scenario: Scenario
  readonly operator: RunningOperator
  readonly sources: readonly Source[]
  close(): Promise<void>
}

export async function createMeasuring(types: readonly string[]): Promise<Measuring> {
  const scenario = await createScenario('measured')
  await freeLease(scenario)
  const operator = await startOperator({ kubeconfig: scenario.kube.kubeconfig })
  const started: Source[] = []
  const close = async (): Promise<void> => {
    await operator.stop()
    await Promise.all(started.map((source) => source.close()))
    await scenario.close()
  }
  try {
    await operator.active()
    const nothing = { gate: undefined, delivered: () => [], requested: () => new Map() }
    const context = { scenario, issuer: operator.issuer, operator, ttlSeconds: 300, now: Date.now, ...nothing }
    for (const type of types) {
      const known = starters[type]
      if (known === undefined) throw new Error(`there is no source ${type}`)
      started.push({ ...(await known.start(context)), type })
    }
  } catch (error) {
    await close()
    throw error
  }
  return { scenario, operator, sources: started, close }
}
