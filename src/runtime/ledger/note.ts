// Notes in a row what the source itself calls what was made under it, before anything of worth is asked of that source. A row that is
// dying, or that somebody else has written since, takes no note: then nothing more may be asked under it.

import type { Lease } from '../../core/lease.ts'
import { describeError, isConflict, isNotFound } from '../../kube/errors.ts'
import type { KubeObject } from '../../kube/objects.ts'
import type { Writes } from '../../kube/patch.ts'
import type { StoreView } from '../../kube/store.ts'
import { milliseconds } from '../../lib/instant.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import type { Failure } from '../../ports/provider.ts'
import { leaseStatus, leasesResource } from './rows.ts'

export interface NoteDeps {
  readonly leases: StoreView<Lease>
  readonly writes: Writes
  readonly absorb: (object: KubeObject) => void
  readonly leads: () => boolean
  readonly namespace: string
  /** whether a pass has decided that it dies */
  readonly doomed: (handle: string) => boolean
}

/** A failure is told of the credential whose row it is. */
export type NoteReference = (handle: string, reference: string) => Promise<Result<undefined, Failure>>

export function createNote({ leases, writes, absorb, leads, namespace, doomed }: NoteDeps): NoteReference {
  return async (handle, reference) => {
    const lease = leases.get(`${namespace}/${handle}`)
    const no = (why: string): Result<never, Failure> =>
      fail({ reason: 'IssueFailed', message: `credential \`${lease?.credential ?? ''}\`: its row in the ledger ${why}` })
    if (lease === undefined) return no('is gone')
    if ((lease.state !== 'Intended' && lease.state !== 'Issued') || doomed(handle)) return no('is to die')
    if (!leads()) return fail({ reason: 'StaleView', message: 'this replica does not lead' })
    const place = { resource: leasesResource, namespace, name: handle }
    const next = leaseStatus(lease, { state: lease.state, reference })
    const write = () => writes.patchStatus(place, lease.resourceVersion, next, { timeout: milliseconds(5_000) })
    let written = await write()
    // what a compare-and-set was refused was surely not done; an attempt that ends here leaves something at its source to be ended
    if (!written.ok && isConflict(written.failure) && leads() && !doomed(handle)) written = await write()
    if (written.ok) {
      absorb(written.value)
      return ok(undefined)
    }
    const behind = isConflict(written.failure) || isNotFound(written.failure)
    return no(behind ? 'was changed by somebody else' : `could not be written: ${describeError(written.failure)}`)
  }
}
