// RecordIntent: asks each provider for what must be known beforehand and writes it into status by compare-and-set, before anything exists.

import { handleOf } from '../../core/lease.ts'
import type { CredentialRecord, TaskRecord } from '../../core/observed.ts'
import type { Effect, Outcome } from '../../core/plan.ts'
import type { Provider } from '../../ports/provider.ts'
import type { Views } from '../views.ts'
import type { Pass } from './pass.ts'
import type { WriteStatus } from './status.ts'

export interface IntentDeps {
  readonly views: Views
  readonly findProvider: (type: string) => Provider<unknown> | undefined
  readonly writeStatus: WriteStatus
  /** what all handles of this installation begin with */
  readonly handlePrefix: string
}

export async function recordIntent(deps: IntentDeps, pass: Pass, effect: Extract<Effect, { tag: 'RecordIntent' }>): Promise<Outcome> {
  const credentials: CredentialRecord[] = []
  for (const credential of effect.record.credentials) {
    if (!effect.orders.some((o) => o.name === credential.name)) {
      credentials.push(credential)
      continue
    }
    const object = deps.views.providers.get(credential.provider.name)
    const provider = object === undefined ? undefined : deps.findProvider(object.type)
    if (object === undefined || provider === undefined || object.uid !== credential.provider.uid)
      return {
        tag: 'retry',
        failure: { reason: 'ProviderNotFound', message: `credential \`${credential.name}\`: its provider is gone or was replaced` },
      }
    const reserved = provider.reserve(object.params)
    if (!reserved.ok) return { tag: 'retry', failure: reserved.failure }
    const handle =
      provider.outside === undefined
        ? undefined
        : handleOf(deps.handlePrefix, pass.observed.task.uid, credential.name, effect.record.attempt)
    credentials.push({ ...credential, statusList: reserved.value.statusList, handle })
  }
  const record: TaskRecord = { ...effect.record, credentials }
  const written = await deps.writeStatus(pass, record, pass.stored.report)
  return written.tag === 'done' ? { tag: 'done', fact: { of: 'RecordIntent', record } } : written
}
