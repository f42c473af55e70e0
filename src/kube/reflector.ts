// Keeps a store in step with the API server: a consistent list, a watch from there, and a consistent list again from time to time.
// Never reads at resourceVersion 0, never stops by itself, and never lets one bad object or line hide the others.

import { type Duration, seconds } from '../lib/instant.ts'
import type { Clock } from '../ports/clock.ts'
import type { Entropy } from '../ports/entropy.ts'
import type { Log } from '../ports/log.ts'
import type { Meter } from '../ports/meter.ts'
import type { KubeClient } from './client.ts'
import { type KubeObject, keyOf, pathOf, type Resource } from './objects.ts'
import { createScope, type Scope } from './scope.ts'
import type { Entry, Store } from './store.ts'
import { realTimers, type Timers } from './timers.ts'

export interface ReflectorDeps<T> {
  readonly client: Pick<KubeClient, 'request' | 'stream'>
  /** without `namespaces`: the whole cluster in one list and one watch */
  readonly resource: Resource & { readonly namespaces?: readonly string[] }
  readonly labelSelector?: string
  readonly fieldSelector?: string
  /** fetch nothing but metadata; `decode` is then given PartialObjectMetadata */
  readonly metadataOnly?: boolean
  /** What the store keeps of an object. Throwing or `undefined` makes it unreadable: it is counted and skipped. */
  readonly decode: (object: KubeObject) => T | undefined
  readonly store: Store<T>
  readonly clock: Clock
  readonly entropy: Pick<Entropy, 'unit'>
  readonly log: Log
  readonly meter?: Pick<Meter, 'watchRestarted'>
  readonly timers?: Timers
  /** objects a page; default 500 */
  readonly pageSize?: number
  /** how long a watch may be silent; default 90 s, as API servers send a bookmark about every minute */
  readonly idleTimeout?: Duration
  /** time between consistent lists; default 5 min, jittered by a fifth */
  readonly relistPeriod?: Duration
  /** list by streaming where the server can; default true */
  readonly streaming?: boolean
  /** called before deletions are inferred from a list: how many of how many objects are gone */
  readonly onAbsent?: (gone: number, held: number) => void
}

export interface Reflector {
  start(): void
  /** Resolves when nothing of it runs any more. */
  stop(): Promise<void>
  /** Whether every scope was listed at least once. */
  synced(): boolean
  /** Resolves with true once synced, with false if stopped before. */
  waitSynced(): Promise<boolean>
  /** Monotonic time of the last event, bookmark or list, of the scope where that is longest ago; `undefined` before the first list. */
  lastProgress(): Duration | undefined
  /** A consistent list that begins after this call; true once it is in the store, false if stopped before. */
  relist(): Promise<boolean>
  /** Takes the object that an own write answered with, if it is newer than what is held. */
  absorb(object: KubeObject): boolean
  /** unreadable objects and lines met since the start */
  unreadable(): number
}

export function createReflector<T>(deps: ReflectorDeps<T>): Reflector {
  const { resource, store, log } = deps
  let unreadableCount = 0

  function decode(object: KubeObject): Entry<T> | undefined {
    const key = keyOf(object.metadata)
    try {
      const value = deps.decode(object)
      if (value !== undefined) return { key, uid: object.metadata.uid, resourceVersion: object.metadata.resourceVersion, value }
      unreadable('an object cannot be read and is skipped', key, undefined)
    } catch (error) {
      unreadable('an object cannot be read and is skipped', key, error instanceof Error ? error : undefined)
    }
    return undefined
  }

  function unreadable(message: string, key: string | undefined, error: Error | undefined): void {
    unreadableCount += 1
    log.warn(message, { resource: resource.plural, key, error })
  }

  const scopes: readonly Scope[] = (resource.namespaces ?? ['']).map((namespace) =>
    createScope({
      name: namespace,
      plural: resource.plural,
      source: {
        path: pathOf(resource, { namespace: namespace === '' ? undefined : namespace }),
        labelSelector: deps.labelSelector,
        fieldSelector: deps.fieldSelector,
        metadataOnly: deps.metadataOnly ?? false,
      },
      decode,
      unreadable: (message) => unreadable(message, undefined, undefined),
      client: deps.client,
      store,
      clock: deps.clock,
      entropy: deps.entropy,
      log,
      meter: deps.meter,
      timers: deps.timers ?? realTimers,
      pageSize: deps.pageSize ?? 500,
      idleTimeout: deps.idleTimeout ?? seconds(90),
      relistPeriod: deps.relistPeriod ?? seconds(300),
      streaming: deps.streaming ?? true,
      onAbsent: deps.onAbsent,
    }),
  )

  return {
    start() {
      for (const scope of scopes) scope.start()
    },
    stop: async () => void (await Promise.all(scopes.map((scope) => scope.stop()))),
    synced: () => scopes.every((scope) => scope.synced()),
    waitSynced: async () => (await Promise.all(scopes.map((scope) => scope.waitSynced()))).every(Boolean),
    lastProgress() {
      let oldest: Duration | undefined
      for (const scope of scopes) {
        const progress = scope.lastProgress()
        if (progress === undefined) return undefined
        if (oldest === undefined || progress < oldest) oldest = progress
      }
      return oldest
    },
    relist: async () => (await Promise.all(scopes.map((scope) => scope.relist()))).every(Boolean),
    absorb(object) {
      const entry = decode(object)
      return entry !== undefined && store.apply(entry)
    },
    unreadable: () => unreadableCount,
  }
}
