// How long what namespaces handed over is kept: sealed anew whenever it was seen to work while rows are open, and gone with the last of them,
// as soon as nothing is left to be cleaned up at the source. Reads no Secret and knows no login.

import { effectTime, isOpen, type Lease } from '../../core/lease.ts'
import type { StoreView } from '../../kube/store.ts'
import type { Clock } from '../../ports/clock.ts'
import type { ProviderObject } from '../objects/kinds.ts'
import type { KeptSettings } from './settings.ts'

export interface HandedKeepingDeps {
  readonly leases: StoreView<Lease>
  readonly byProvider: (uid: string) => ReadonlySet<string>
  readonly settings: Pick<KeptSettings, 'renew' | 'drop'>
  readonly leads: () => boolean
  readonly clock: Pick<Clock, 'now'>
}

export interface HandedKeeping {
  /** A row of it is about to be written. */
  begins(uid: string): void
  works(object: ProviderObject): Promise<void>
  /** What was left of this row at its source is removed. */
  cleaned(lease: Lease): void
  /** Looks at all that rows speak of. */
  tidy(): void
}

/** A source that cannot be cleaned up, such as a server that is gone, is not waited for longer. */
const longest = 600_000

export function createHandedKeeping({ leases, byProvider, settings, leads, clock }: HandedKeepingDeps): HandedKeeping {
  const gone = new Set<string>()
  const begun = new Map<string, number>()
  /** handles of closed rows that are clean at their source */
  const clean = new Set<string>()

  const rowsOf = (uid: string): readonly Lease[] =>
    [...byProvider(uid)].flatMap((key) => {
      const lease = leases.get(key)
      return lease === undefined ? [] : [lease]
    })

  /** Nothing is to be done at that source any more. */
  const settled = (lease: Lease): boolean =>
    !isOpen(lease) && (clean.has(lease.handle) || clock.now() - (lease.closedAt ?? clock.now()) > longest)

  async function drop(uid: string): Promise<void> {
    // a row that is being written is in no store yet
    if (clock.now() - (begun.get(uid) ?? 0) < effectTime) return
    if (gone.has(uid) || !leads() || !rowsOf(uid).every(settled)) return
    if (!(await settings.drop(uid))) return
    gone.add(uid)
    begun.delete(uid)
  }

  leases.subscribe(({ before, after }) => {
    // a new row: what it needs was kept just before it was written
    if (after !== undefined && isOpen(after)) gone.delete(after.provider.uid)
    if (after !== undefined || before === undefined) return
    clean.delete(before.handle)
    if (byProvider(before.provider.uid).size > 0) return
    if (before.provider.kind === 'CredentialProvider') void drop(before.provider.uid).finally(() => gone.delete(before.provider.uid))
  })

  return {
    begins: (uid) => void begun.set(uid, clock.now()),
    async works(object) {
      if (object.kind === 'CredentialProvider' && rowsOf(object.uid).some(isOpen)) await settings.renew(object)
    },
    cleaned(lease) {
      if (lease.provider.kind !== 'CredentialProvider') return
      clean.add(lease.handle)
      void drop(lease.provider.uid)
    },
    tidy() {
      const local = new Set<string>()
      for (const { provider } of leases.values()) if (provider.kind === 'CredentialProvider') local.add(provider.uid)
      for (const uid of local) void drop(uid)
    },
  }
}
