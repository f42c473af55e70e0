// Looks from time to time whether what should be alive at its source still is: somebody else may have ended it there. Two looks apart must
// say so, of a row that nobody wrote in between, before it counts. Ends nothing itself; no issue and no revocation ever waits for it.

import { type Lease, mustLive } from '../../core/lease.ts'
import type { Uid } from '../../core/names.ts'
import type { Task } from '../../core/observed.ts'
import type { KubeObject } from '../../kube/objects.ts'
import type { Writes } from '../../kube/patch.ts'
import type { StoreView } from '../../kube/store.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Entropy } from '../../ports/entropy.ts'
import type { Log } from '../../ports/log.ts'
import type { FindProvider, Inspection, Sight } from '../../ports/provider.ts'
import { endedBy } from './collect.ts'
import { leaseStatus, leasesResource, placeOf } from './rows.ts'
import type { KeptSettings } from './settings.ts'

export interface InspectDeps {
  readonly leases: Pick<StoreView<Lease>, 'get' | 'values'>
  readonly tasks: Pick<StoreView<Task>, 'get'>
  readonly findProvider: FindProvider
  readonly settings: Pick<KeptSettings, 'of'>
  readonly clock: Clock
  readonly entropy: Pick<Entropy, 'unit'>
  readonly leads: () => boolean
  /** whether a pass has decided that it dies */
  readonly doomed: (handle: string) => boolean
  /** whether every task was looked at: what a former leader had begun to end is then known to die */
  readonly calm: () => boolean
  /** the operator's own */
  readonly namespace: string
  readonly writes: Pick<Writes, 'patchStatus'>
  readonly absorb: (object: KubeObject) => void
  readonly log: Pick<Log, 'warn'>
  /** it is certain: somebody else ended it */
  readonly tell: { foundDead(lease: Lease): void }
}

export interface Inspector {
  start(): void
  stop(): void
  /** One look at some rows of each source. */
  round(): Promise<void>
}

/** Between two rounds, and from a first look that says so to the second; both a quarter more or less. Milliseconds. */
const [period, apart] = [30_000, 10_000]
/** Two looks that are closer than that are one. */
const least = 7_000

interface Suspicion {
  /** the row as it stood: whoever wrote it since had something to do with it */
  readonly resourceVersion: string
  /** by the monotonic clock */
  readonly since: number
}

export function createInspector(deps: InspectDeps): Inspector {
  const { leases, clock, entropy } = deps
  const suspicions = new Map<string, Suspicion>()
  /** by provider, the handles that are still to be looked at: each has its turn, however many there are */
  const turns = new Map<Uid, readonly string[]>()
  const busy = new Set<string>()
  const timers = new Set<ReturnType<typeof setTimeout>>()

  function later(wait: number, work: () => void): void {
    const timer = setTimeout(
      () => {
        timers.delete(timer)
        work()
      },
      wait * (0.75 + entropy.unit() / 2),
    )
    timer.unref()
    timers.add(timer)
  }

  /** The row, where by all that is known now its source must show it alive. */
  function row(handle: string): Lease | undefined {
    const lease = leases.get(`${deps.namespace}/${handle}`)
    const task = lease === undefined ? undefined : deps.tasks.get(lease.task.key)
    if (lease === undefined || task === undefined || !deps.leads()) return undefined
    return mustLive(lease, task, deps.doomed(handle), clock.now()) ? lease : undefined
  }

  /** Whether it is certain now, or has to be looked at again; a look that does not say so begins anew. */
  function judge({ handle, resourceVersion }: Lease, sight: Sight | undefined): 'certain' | 'again' | 'well' {
    const since = clock.monotonic()
    const before = suspicions.get(handle)
    // written meanwhile: by a renewal, by a revocation, by whoever leads by now
    if (sight !== 'Dead' || row(handle)?.resourceVersion !== resourceVersion) {
      suspicions.delete(handle)
      return 'well'
    }
    if (before?.resourceVersion !== resourceVersion) suspicions.set(handle, { resourceVersion, since })
    else if (since - before.since >= least) return 'certain'
    return 'again'
  }

  /** From here on the row is worked off as any that dies: its source ends what may be left, such as open sessions. */
  async function announce(lease: Lease): Promise<void> {
    const place = { resource: leasesResource, namespace: deps.namespace, name: lease.handle }
    const message = endedBy(lease)
    const next = leaseStatus(lease, { state: 'Revoking', foundDeadAt: clock.now(), reason: 'RevokedExternally', message })
    const written = await deps.writes.patchStatus(place, lease.resourceVersion, next, { priority: 'end' })
    // who wrote it before us had something to do with it: then it is looked at anew
    if (!written.ok) return deps.log.warn('a row of the ledger could not be written', { handle: lease.handle })
    deps.tell.foundDead(lease)
    deps.absorb(written.value)
  }

  async function look(inspection: Inspection<unknown>, handles: readonly string[]): Promise<void> {
    const rows = handles.flatMap((handle) => row(handle) ?? [])
    const [first] = rows
    if (first === undefined) return
    // as the object stands, where it is there: a look is no reason to open what is kept
    const params = await deps.settings.of(first)[0]?.()
    if (params?.ok !== true) return
    const sights = await inspection.look(params.value, rows.map(placeOf))
    const doubtful: string[] = []
    for (const [i, lease] of rows.entries()) {
      const judged = judge(lease, sights[i])
      if (judged === 'again') doubtful.push(lease.handle)
      if (judged !== 'certain') continue
      suspicions.delete(lease.handle)
      await announce(lease)
    }
    if (doubtful.length > 0) later(apart, () => void once(first.provider, doubtful))
  }

  /** One look at a source at a time. */
  async function once({ uid, type, kind }: Lease['provider'], handles: readonly string[]): Promise<void> {
    const inspection = deps.findProvider(type, kind)?.outside?.inspection
    if (inspection === undefined || busy.has(uid) || !deps.calm()) return
    busy.add(uid)
    try {
      await look(inspection, handles.slice(0, inspection.batch))
    } finally {
      busy.delete(uid)
    }
  }

  async function round(): Promise<void> {
    // what it saw in a former term is nothing to go by
    if (!deps.leads()) return suspicions.clear()
    const groups = Map.groupBy(
      [...leases.values()].filter(({ state }) => state === 'Issued'),
      ({ provider }) => provider.uid,
    )
    for (const uid of turns.keys()) if (!groups.has(uid)) turns.delete(uid)
    const looks = [...groups].map(([uid, group]) => {
      const provider = group[0]?.provider
      const size = deps.findProvider(provider?.type ?? '', provider?.kind ?? '')?.outside?.inspection?.batch ?? 0
      const before = turns.get(uid) ?? []
      const waiting = before.length > 0 ? before : group.map(({ handle }) => handle)
      turns.set(uid, waiting.slice(size))
      return provider === undefined ? undefined : once(provider, waiting.slice(0, size))
    })
    await Promise.all(looks)
  }

  const go = (): void => later(period, () => void round().finally(go))

  return {
    start: go,
    stop() {
      for (const timer of timers) clearTimeout(timer)
    },
    round,
  }
}
