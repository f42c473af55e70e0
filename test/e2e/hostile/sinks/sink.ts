// A source of one type that keeps whatever it is sent.

import { eventually } from '../../../support/cluster.ts'
import type { Condition, Scenario } from '../../support/scenario.ts'

export interface Sink {
  readonly type: string
  /** Has the operator show it what it shows a source of that type: a credential is issued and ended. May be done again. */
  visit(): Promise<void>
  /** all that it was sent until now */
  sent(): unknown
}

/** Visits by a task that ends. @param revoked the reason of `Revoked` then */
export function visitor({ task, until, patch, conditions }: Scenario, type: string, credential: object, revoked = 'AllRevoked') {
  let visits = 0
  return async (): Promise<void> => {
    visits += 1
    const name = await task({ name: `at-${type.toLowerCase()}-${visits}`, credential: { ...credential } })
    await until(name, 'Active')
    await patch('agenttasks', name, { spec: { end: 'Completed' } })
    const reason = (all: Readonly<Record<string, Condition>>): string | undefined => all['Revoked']?.reason
    await eventually(
      async () => {
        const seen = reason(await conditions(name))
        if (seen !== revoked) throw new Error(`Revoked of ${name} says ${seen}`)
      },
      { timeoutMs: 60_000 },
    )
  }
}

/** Words of whatever was sent that are long enough to open something. */
export function wordsOf(value: unknown): readonly string[] {
  if (typeof value === 'string') return value.split(/[\s\0]+/).filter((word) => word.length >= 16)
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(wordsOf) : []
}
