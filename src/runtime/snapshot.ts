// What the gauges are computed from: the stores of one replica, as they are when somebody scrapes.

import { isAlive, phase } from '../core/record.ts'
import type { Clock } from '../ports/clock.ts'
import type { Snapshot, TaskRow } from '../telemetry/snapshot.ts'
import type { Operator } from './operator.ts'

export function createSnapshot(operator: () => Operator | undefined, clock: Clock): Snapshot {
  return {
    *tasks(): Iterable<TaskRow> {
      const now = clock.now()
      for (const task of operator()?.watching.tasks.store.values() ?? []) {
        const { record } = task
        const over = record.completedAt !== undefined
        yield {
          namespace: task.namespace,
          state: task.report.conditions.find((c) => c.type === 'Ready')?.reason ?? 'New',
          credentials: record.credentials
            .filter((c) => isAlive(c, now))
            .map((c) => ({
              provider: c.provider.name,
              expiresAt: c.expiresAt,
              state: over ? 'Revoking' : phase(record) === 'delivered' ? 'Live' : 'Pending',
            })),
        }
      }
    },
    leases: () => operator()?.ledger.rows() ?? [],
    queue: () => {
      const queue = operator()?.queue
      return { depth: queue?.depth() ?? {}, oldest: queue?.oldest() }
    },
    *watches() {
      for (const { resource, reflector } of operator()?.watching.all() ?? []) {
        const name = resource.group === '' ? resource.plural : `${resource.plural}.${resource.group}`
        yield { resource: name, lastProgress: reflector.lastProgress() }
      }
    },
    leader: () => operator()?.active() ?? false,
  }
}
