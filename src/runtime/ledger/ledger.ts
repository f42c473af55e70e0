// The ledger of what exists outside the cluster: rows written before anything is made, and worked off until all of it is dead. Its queues,
// workers and backoff are its own, so that neither issuing nor another provider's outage delays a revocation.

import { isExpiring, isOpen, type Lease } from '../../core/lease.ts'
import { splitKey, type TaskKey } from '../../core/names.ts'
import type { Failure, LeaseFacts, Task } from '../../core/observed.ts'
import { createBreather } from '../../kube/breather.ts'
import type { KubeClient } from '../../kube/client.ts'
import { type KubeObject, pathOf } from '../../kube/objects.ts'
import type { Writes } from '../../kube/patch.ts'
import type { StoreView } from '../../kube/store.ts'
import { milliseconds, seconds } from '../../lib/instant.ts'
import type { Seal } from '../../lib/seal.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Entropy } from '../../ports/entropy.ts'
import type { ReadHanded } from '../../ports/handed.ts'
import type { Journal } from '../../ports/journal.ts'
import type { Log } from '../../ports/log.ts'
import type { Meter } from '../../ports/meter.ts'
import type { FindProvider, Provider, Reservation } from '../../ports/provider.ts'
import type { Tracer } from '../../ports/tracer.ts'
import type { LeaseRow } from '../../telemetry/snapshot.ts'
import type { ProviderObject } from '../objects/kinds.ts'
import type { Document } from '../storage.ts'
import type { Doubt } from '../views.ts'
import { createCleaning } from './cleaning.ts'
import { createCollect } from './collect.ts'
import { createDying } from './dying.ts'
import { createHandedKeeping } from './handed.ts'
import type { Health } from './health.ts'
import { createInspector } from './inspect.ts'
import { createFull, createIntend, type Full, type Intend } from './intend.ts'
import { createKeptValues } from './kept.ts'
import { createLanes } from './lanes.ts'
import { createNote, type NoteReference } from './note.ts'
import { createRetirements } from './retire.ts'
import { leasesResource, sourceOf, workKey } from './rows.ts'
import { createSealHanded } from './sealed.ts'
import { createKeptSettings } from './settings.ts'
import { openRows } from './shown.ts'
import { createSweep } from './sweep.ts'

export interface LedgerDeps {
  readonly leases: StoreView<Lease>
  readonly tasks: StoreView<Task>
  readonly providers: StoreView<ProviderObject>
  readonly doubt: Pick<Doubt, 'task'>
  readonly findProvider: FindProvider
  readonly health: Health
  readonly client: Pick<KubeClient, 'request'>
  readonly writes: Writes
  /** takes the reply of a write into the store of rows */
  readonly absorb: (object: KubeObject) => void
  /** the document in which one provider's settings are kept */
  readonly document: (name: string) => Document
  /** for what a source wants to see before it ends something */
  readonly seal: Seal
  /** what providers of namespaces are handed */
  readonly readHanded: ReadHanded
  /** why a provider object cannot be used now */
  readonly notReady: (object: ProviderObject) => string | undefined
  readonly leads: () => boolean
  /** a row of this task changed so that its status says something else */
  readonly changed: (task: TaskKey) => void
  readonly clock: Clock
  readonly entropy: Entropy
  readonly journal: Journal
  readonly meter: Pick<Meter, 'revoked' | 'remained' | 'lost'>
  readonly tracer: Pick<Tracer, 'span'>
  readonly log: Log
  /** whether no task waits to be looked at: a takeover has all of them looked at, after what is more urgent */
  readonly calm: () => boolean
  /** whether tasks of a namespace are served by this installation */
  readonly serves: (namespace: string) => boolean
  readonly namespace: string
  readonly prefix: string
  readonly limit: number
}

export interface Ledger {
  readonly intend: Intend
  readonly full: Full
  readonly note: NoteReference
  /** what was noted in a row last */
  noted(handle: string): string | undefined
  /** what a provider that keeps values is given for a row; nothing to any other */
  keeping(provider: Provider<unknown>, params: unknown, handle: string): Pick<Reservation, 'keep' | 'kept'>
  /** the rows of a task */
  facts(taskUid: string): readonly LeaseFacts[]
  /**
   * From now on the handle dies, whatever the record says. Waits a moment for it.
   * @returns `undefined` when it is dead, or was never made
   */
  revoke(handle: string): Promise<Failure | undefined>
  /** A provider's object or readiness changed: what failed there is tried at once. */
  provider(key: string): void
  /** A provider of a namespace was just seen to work with what it was handed: as long as rows of it are open, that is what is kept. */
  works(object: ProviderObject): Promise<void>
  rows(): Iterable<LeaseRow>
  start(): void
  /** Looks at every row and at every source: after a takeover, and from time to time. */
  sweep(): void
  stop(): Promise<void>
}

/** Workers a provider: as many as a source should be bothered with at a time. One namespace gets half of them. */
const width = 8
/** How long a task's pass waits for a death: most take less, and then one status write says all. */
const patience = 80
const sweepPeriod = 300_000

export function createLedger(deps: LedgerDeps): Ledger {
  const { leases, tasks, clock, entropy, log } = deps
  const keyOf = (handle: string): string => `${deps.namespace}/${handle}`
  const backoff = { first: milliseconds(500), cap: seconds(60) }
  const revocations = createLanes({ clock, entropy, log, backoff }, width)

  const byTask = leases.index((lease) => [lease.task.uid])
  const openByOrigin = leases.index((lease) => (isOpen(lease) ? [`${lease.task.namespace} ${lease.provider.uid}`] : []))
  const openByProvider = leases.index((lease) => (isOpen(lease) ? [sourceOf(lease).key] : []))
  const byProvider = leases.index((lease) => [lease.provider.uid])

  const seenToGo = new Set<string>()

  const settings = createKeptSettings({
    ...deps,
    seal: createSealHanded({ ...deps, read: deps.readHanded }),
    document: (uid) => deps.document(`taskbound-provider-${uid}`),
  })
  const full = createFull(deps.limit, (namespace, provider) => openByOrigin(`${namespace} ${provider}`).size)
  const write = createIntend({ ...deps, settings, full })

  const dying = createDying(deps)
  const doomed = (handle: string): boolean => dying.since(handle) !== undefined
  const values = createKeptValues({ ...deps, doomed })
  const collect = createCollect({
    ...deps,
    settings,
    values,
    doomed,
    seenToGo: (uid) => seenToGo.has(uid),
    tell: dying,
  })

  const handed = createHandedKeeping({ leases, byProvider, settings, leads: deps.leads, clock })
  const cleaning = createCleaning({ ...deps, settings, values, handed })
  const inspector = createInspector({ ...deps, settings, tell: dying, doomed })
  const retirements = createRetirements({ ...deps, settings, doomed })

  const handleIn = (key: string): string => splitKey(key as TaskKey).name
  const look = (lease: Lease, priority: 'end' | 'new' | 'resync'): void => revocations.of(lease.provider.uid).add(workKey(lease), priority)

  async function work(key: string): Promise<void> {
    const lease = leases.get(keyOf(handleIn(key)))
    if (lease === undefined) return
    const queue = revocations.of(lease.provider.uid)
    const after = await collect(lease.handle)
    // what failed gives way to what has just ended
    if (after.tag === 'retry') return queue.retry(key, 'resync')
    queue.forget(key)
    if (after.tag === 'later') queue.addAfter(key, after.delay, 'resync')
    if (after.tag !== 'clean') return
    const forgetting = values.forget(lease)
    cleaning.after(lease, after.delay)
    await forgetting
  }

  const sweep = createSweep({
    ...deps,
    readRow: async (name) => {
      const row = await deps.client.request<KubeObject>({
        method: 'GET',
        path: pathOf(leasesResource, { namespace: deps.namespace, name }),
      })
      return row.ok ? { ok: true, value: row.value.body } : row
    },
    clean: cleaning.found,
  })

  /** What a task says of it, and goes on by. */
  const shownOf = (lease: Lease): string => `${isOpen(lease)} ${isExpiring(lease)} ${lease.message}`
  leases.subscribe(({ before, after }) => {
    const lease = after ?? before
    if (lease === undefined) return
    if (after !== undefined) look(after, isOpen(after) ? 'new' : 'resync')
    // a row that begins says nothing of its task: the pass that wrote it is not over yet
    const told = before !== undefined && (after === undefined || shownOf(before) !== shownOf(after))
    if (told) deps.changed(lease.task.key)
    retirements.follow(before, after)
    if (after !== undefined && !isOpen(after)) dying.wake(after.handle)
    if (after === undefined && byTask(lease.task.uid).size === 0) seenToGo.delete(lease.task.uid)
  })
  tasks.subscribe((change) => {
    const uid = change.before?.uid ?? change.after?.uid ?? ''
    const rows = byTask(uid)
    if (rows.size === 0) return
    if (change.type === 'deleted' && !change.inferred) seenToGo.add(uid)
    for (const key of rows) {
      const lease = leases.get(key)
      if (lease !== undefined) look(lease, 'new')
    }
  })

  /** Not in one turn of the event loop: with many rows it would be longer than a leader may be silent. */
  async function lookAtAll(): Promise<void> {
    const breathe = createBreather(clock)
    for (const lease of [...leases.values()]) {
      look(lease, 'resync')
      retirements.look(lease)
      const pause = breathe()
      if (pause !== undefined) await pause
    }
  }

  let sweeping: ReturnType<typeof setInterval> | undefined
  const ledger: Ledger = {
    intend(task, order, attempt, object) {
      if (object.kind === 'CredentialProvider') handed.begins(object.uid)
      return write(task, order, attempt, object)
    },
    full,
    note: createNote({ ...deps, doomed }),
    noted: (handle) => leases.get(keyOf(handle))?.reference,
    keeping: values.given,
    facts: (uid) =>
      [...byTask(uid)].flatMap((key): LeaseFacts[] => {
        const lease = leases.get(key)
        if (lease === undefined) return []
        const { handle, credential, attempt, state, message } = lease
        const dead = state === 'Revoked' || state === 'Expired'
        const object = deps.providers.get(sourceOf(lease).key)
        const after = object?.uid === lease.provider.uid ? object.onExternalRevocation : 'Fail'
        const foundDead = lease.foundDeadAt === undefined ? undefined : { at: lease.foundDeadAt, after }
        const expiring = isExpiring(lease) ? { expiring: true } : {}
        return [{ handle, credential, attempt, open: isOpen(lease), dead, ...expiring, foundDead, message }]
      }),
    async revoke(handle) {
      const lease = leases.get(keyOf(handle))
      if (lease === undefined || !isOpen(lease)) return undefined
      dying.dying(lease)
      look(lease, 'end')
      const { delayed: _, ...busy } = revocations.of(lease.provider.uid).depth()
      const crowded = Object.values(busy).reduce((sum, n) => sum + n, 0) > width
      const troubled = crowded || deps.health.stuck(lease.provider.uid) || dying.failing(sourceOf(lease).key)
      if (!troubled) await dying.end(handle, patience)
      const now = leases.get(keyOf(handle))
      if (now === undefined || !isOpen(now)) return undefined
      return {
        reason: isExpiring(now) ? 'ExpiresAt' : 'RevocationUnconfirmed',
        message: `credential \`${now.credential}\`: ${now.message ?? 'it is being revoked at its source'}`,
      }
    },
    works: handed.works,
    provider(name) {
      dying.hope(name)
      for (const key of openByProvider(name)) {
        const lease = leases.get(key)
        if (lease === undefined) continue
        revocations.of(lease.provider.uid).forget(workKey(lease))
        look(lease, 'new')
      }
    },
    rows: () => openRows(leases.values(), dying.since, clock.monotonic()),
    start() {
      revocations.start(work)
      cleaning.start()
      retirements.start()
      inspector.start()
      sweeping = setInterval(() => ledger.sweep(), sweepPeriod)
      sweeping.unref()
    },
    sweep() {
      void lookAtAll()
      handed.tidy()
      void sweep.all()
    },
    async stop() {
      clearInterval(sweeping)
      inspector.stop()
      await Promise.all([revocations.stop(), cleaning.stop(), retirements.stop()])
    },
  }

  return ledger
}
