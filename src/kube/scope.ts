// One list-and-watch loop of a reflector: one kind in one namespace, or in the whole cluster.
// It decides when to list, from where to watch and how long to wait after trouble; the store decides what is news.

import { backoff } from '../lib/backoff.ts'
import { type Duration, milliseconds, seconds } from '../lib/instant.ts'
import type { Result } from '../lib/result.ts'
import type { Clock } from '../ports/clock.ts'
import type { Entropy } from '../ports/entropy.ts'
import type { Log } from '../ports/log.ts'
import type { Meter } from '../ports/meter.ts'
import { createBreather } from './breather.ts'
import type { KubeClient } from './client.ts'
import { type ApiError, describeError, isGone, isVersionTooLarge } from './errors.ts'
import { type ListSink, listAsStream, listInPages, type Source } from './list.ts'
import { compareVersions, type KubeObject, keyOf } from './objects.ts'
import type { Entry, Snapshot, Store } from './store.ts'
import { sleep, type Timers } from './timers.ts'
import { watchFrom } from './watch.ts'

export interface ScopeDeps<T> {
  /** a namespace, or empty for all */
  readonly name: string
  readonly plural: string
  readonly source: Source
  readonly decode: (object: KubeObject) => Entry<T> | undefined
  readonly unreadable: (message: string) => void
  readonly client: Pick<KubeClient, 'request' | 'stream'>
  readonly store: Store<T>
  readonly clock: Clock
  readonly entropy: Pick<Entropy, 'unit'>
  readonly log: Log
  readonly meter: Pick<Meter, 'watchRestarted'> | undefined
  readonly timers: Timers
  readonly pageSize: number
  readonly idleTimeout: Duration
  readonly relistPeriod: Duration
  readonly streaming: boolean
  readonly onAbsent: ((gone: number, held: number) => void) | undefined
}

export interface Scope {
  start(): void
  stop(): Promise<void>
  synced(): boolean
  waitSynced(): Promise<boolean>
  lastProgress(): Duration | undefined
  relist(): Promise<boolean>
}

const trouble = { first: milliseconds(250), cap: seconds(15) }

export function createScope<T>(deps: ScopeDeps<T>): Scope {
  const { store, clock, entropy, timers, log, name } = deps
  const stopping = new AbortController()
  const firstSync = Promise.withResolvers<boolean>()
  let loops: Promise<unknown> | undefined
  let synced = false
  let progress: Duration | undefined
  let streaming = deps.streaming
  // where the next watch begins; `undefined` asks for a list first
  let position: string | undefined
  // ends the watch that runs, where a list showed that its position is void
  let watching = new AbortController()
  let listing: Promise<boolean> | undefined
  let nextListing: Promise<boolean> | undefined

  const stopped = (): boolean => stopping.signal.aborted
  const pause = (failures: number): Promise<void> => sleep(timers, backoff(trouble, failures, entropy.unit()), stopping.signal)

  function sinkInto(snapshot: () => Snapshot<T>, restart: () => void): ListSink {
    return {
      add(object) {
        const entry = deps.decode(object)
        if (entry === undefined) snapshot().addUnreadable(keyOf(object.metadata))
        else snapshot().add(entry)
      },
      drop: (object) => snapshot().drop(keyOf(object.metadata)),
      garbage: () => deps.unreadable('an entry of a list is no object and is skipped'),
      restart,
    }
  }

  async function listOnce(): Promise<Result<string, ApiError>> {
    const began = clock.monotonic()
    const breathe = createBreather(clock)
    let snapshot = store.snapshot(name)
    const sink = sinkInto(
      () => snapshot,
      () => {
        snapshot.abandon()
        snapshot = store.snapshot(name)
      },
    )
    const from = { client: deps.client, source: deps.source, signal: stopping.signal, breathe }
    let listed = streaming ? await listAsStream(from, deps.idleTimeout, sink) : await listInPages(from, deps.pageSize, sink)
    if (streaming && !listed.ok && cannotStream(listed.failure)) {
      streaming = false
      sink.restart()
      listed = await listInPages(from, deps.pageSize, sink)
    }
    if (!listed.ok || stopped()) {
      snapshot.abandon()
      return listed
    }
    const committed = await snapshot.commit(listed.value, { breathe, ...(deps.onAbsent === undefined ? {} : { onAbsent: deps.onAbsent }) })
    if (committed.rewound) {
      log.error('the API server went back in time, so what it says now replaces what was known', { resource: deps.plural })
      watching.abort('aborted')
      position = listed.value
    } else if (position === undefined || compareVersions(listed.value, position) > 0) {
      position = listed.value
    }
    progress = milliseconds(Math.max(progress ?? 0, began))
    if (!synced) log.debug('listed', { resource: deps.plural, namespace: name, objects: store.size })
    synced = true
    firstSync.resolve(true)
    return listed
  }

  async function listUntilDone(): Promise<boolean> {
    for (let failures = 1; !stopped(); failures++) {
      const listed = await listOnce()
      if (stopped()) break
      if (listed.ok) return true
      log.warn('a list failed and is tried again', { resource: deps.plural, namespace: name, reason: describeError(listed.failure) })
      await pause(failures)
    }
    return false
  }

  /** Whoever asks while a list runs gets the one after it: only that one surely began after the call. */
  function relist(): Promise<boolean> {
    if (listing === undefined) {
      listing = listUntilDone().finally(() => {
        listing = undefined
      })
      return listing
    }
    nextListing ??= listing.then(() => {
      nextListing = undefined
      return relist()
    })
    return nextListing
  }

  async function keepWatching(): Promise<void> {
    let failures = 0
    while (!stopped()) {
      if (position === undefined && !(await relist())) return
      if (position === undefined) continue
      watching = new AbortController()
      let moved = false
      const outcome = await watchFrom(position, {
        ...deps,
        signal: AbortSignal.any([stopping.signal, watching.signal]),
        progressed(resourceVersion) {
          moved = true
          position = resourceVersion
          progress = clock.monotonic()
        },
      })
      if (stopped()) return
      if (moved) failures = 0
      if (watching.signal.aborted) continue
      if (outcome.relist || (outcome.reason === 'garbage' && !moved)) position = undefined
      deps.meter?.watchRestarted(deps.plural, outcome.reason)
      if (outcome.reason === 'closed' && moved) continue
      failures += 1
      log.info('a watch ended and is resumed', { resource: deps.plural, namespace: name, reason: outcome.reason, detail: outcome.message })
      const asked = seconds(outcome.retryAfterSeconds ?? 0)
      await sleep(timers, milliseconds(Math.max(asked, backoff(trouble, failures, entropy.unit()))), stopping.signal)
    }
  }

  async function keepListing(): Promise<void> {
    while (!stopped()) {
      await sleep(timers, milliseconds(deps.relistPeriod * (0.8 + 0.4 * entropy.unit())), stopping.signal)
      if (!stopped()) await relist()
    }
  }

  return {
    start() {
      loops ??= Promise.all([keepWatching(), keepListing()])
    },
    async stop() {
      stopping.abort('aborted')
      firstSync.resolve(false)
      await loops
      await listing
    },
    synced: () => synced,
    waitSynced: () => firstSync.promise,
    lastProgress: () => progress,
    relist,
  }
}

/** A server that does not know streaming lists, or has them off, refuses the parameters. */
function cannotStream(error: ApiError): boolean {
  return error.kind === 'http' && (error.status === 400 || error.status === 422) && !isGone(error) && !isVersionTooLarge(error)
}
