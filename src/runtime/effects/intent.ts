// RecordIntent: asks each provider for what must be known beforehand and writes it into status by compare-and-set, before anything exists;
// together with the rows of the ledger, since nothing is made before both stand, and a row whose intent was lost dies as any other.

import { handleOf } from '../../core/lease.ts'
import { providerKey } from '../../core/names.ts'
import type { CredentialRecord, TaskRecord } from '../../core/observed.ts'
import type { Effect, IssueOrder, Outcome } from '../../core/plan.ts'
import type { FindProvider } from '../../ports/provider.ts'
import type { Ledger } from '../ledger/ledger.ts'
import type { ProviderObject } from '../objects/kinds.ts'
import type { Views } from '../views.ts'
import type { Pass } from './pass.ts'
import type { WriteStatus } from './status.ts'

export interface IntentDeps {
  readonly views: Views
  readonly findProvider: FindProvider
  readonly writeStatus: WriteStatus
  readonly ledger: Pick<Ledger, 'intend' | 'full'>
  /** what all handles of this installation begin with */
  readonly handlePrefix: string
}

export async function recordIntent(deps: IntentDeps, pass: Pass, effect: Extract<Effect, { tag: 'RecordIntent' }>): Promise<Outcome> {
  const { task } = pass.observed
  const credentials: CredentialRecord[] = []
  const outside: { readonly order: IssueOrder; readonly object: ProviderObject }[] = []
  for (const credential of effect.record.credentials) {
    const order = effect.orders.find((o) => o.name === credential.name)
    if (order === undefined) {
      credentials.push(credential)
      continue
    }
    const object = deps.views.providers.get(providerKey(credential.provider, task.namespace))
    const provider = object === undefined ? undefined : deps.findProvider(object.type, object.kind)
    if (object === undefined || provider === undefined || object.uid !== credential.provider.uid)
      return {
        tag: 'retry',
        failure: { reason: 'ProviderNotFound', message: `credential \`${credential.name}\`: its provider is gone or was replaced` },
      }
    const reserved = provider.reserve(object.params)
    if (!reserved.ok) return { tag: 'retry', failure: reserved.failure }
    const full = provider.outside === undefined ? undefined : deps.ledger.full(task, order)
    if (full !== undefined) return { tag: 'retry', failure: full }
    if (provider.outside !== undefined) outside.push({ order, object })
    const handle =
      provider.outside === undefined ? undefined : handleOf(deps.handlePrefix, task.uid, credential.name, effect.record.attempt)
    credentials.push({ ...credential, statusList: reserved.value.statusList, handle })
  }
  const record: TaskRecord = { ...effect.record, credentials }
  const [written, ...rows] = await Promise.all([
    deps.writeStatus(pass, record, pass.stored.report),
    ...outside.map(({ order, object }) => deps.ledger.intend(task, order, effect.record.attempt, object)),
  ])
  pass.rows = new Map(outside.flatMap(({ order }, i) => (rows[i] === undefined ? [] : [[order.name, rows[i]]])))
  return written.tag === 'done' ? { tag: 'done', fact: { of: 'RecordIntent', record } } : written
}
