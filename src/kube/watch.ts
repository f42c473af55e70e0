// Follows one watch from a resourceVersion to its end and says how it ended. It never resumes by itself.

import type { Duration } from '../lib/instant.ts'
import type { Clock } from '../ports/clock.ts'
import type { Entropy } from '../ports/entropy.ts'
import { createBreather } from './breather.ts'
import type { KubeClient } from './client.ts'
import { type ApiError, describeError, isGone, isVersionTooLarge } from './errors.ts'
import { readEvent, type WatchEvent } from './events.ts'
import type { Source } from './list.ts'
import type { KubeObject } from './objects.ts'
import { metadataOnly } from './patch.ts'
import type { Entry, Store } from './store.ts'

export interface WatchDeps<T> {
  readonly name: string
  readonly source: Source
  readonly client: Pick<KubeClient, 'stream'>
  readonly store: Store<T>
  readonly clock: Pick<Clock, 'monotonic'>
  readonly entropy: Pick<Entropy, 'unit'>
  readonly idleTimeout: Duration
  readonly decode: (object: KubeObject) => Entry<T> | undefined
  readonly unreadable: (message: string) => void
  readonly signal: AbortSignal
  /** Called for each event and bookmark, after the store has it. */
  readonly progressed: (resourceVersion: string) => void
}

export interface WatchOutcome {
  readonly reason: 'closed' | 'cut' | 'idle' | 'aborted' | 'garbage' | 'expired' | 'refused' | 'unreachable'
  readonly message: string
  /** the position is of no more use: list first */
  readonly relist: boolean
  readonly retryAfterSeconds: number | undefined
}

export async function watchFrom<T>(resourceVersion: string, deps: WatchDeps<T>): Promise<WatchOutcome> {
  const opened = await deps.client.stream({
    path: deps.source.path,
    query: {
      watch: true,
      resourceVersion,
      allowWatchBookmarks: true,
      // varied, so that not all watches of all replicas come back at once
      timeoutSeconds: 300 + Math.floor(300 * deps.entropy.unit()),
      labelSelector: deps.source.labelSelector,
      fieldSelector: deps.source.fieldSelector,
    },
    ...(deps.source.metadataOnly ? { accept: metadataOnly } : {}),
    idleTimeout: deps.idleTimeout,
    signal: deps.signal,
  })
  if (!opened.ok) return troubled(opened.failure)
  const breathe = createBreather(deps.clock)
  for await (const lines of opened.value.batches) {
    for (const line of lines) {
      const event = readEvent(line)
      if (event.type === 'error') return troubled(event.error)
      if (event.type === 'garbage') {
        deps.unreadable('a line of a watch cannot be read, so the watch is resumed')
        return { reason: 'garbage', message: 'a line cannot be read', relist: false, retryAfterSeconds: undefined }
      }
      deps.progressed(take(event, deps))
      await breathe()
    }
  }
  const end = opened.value.ended()
  const reason = end?.kind ?? 'cut'
  // resumed it could be silent for as long again, and meanwhile nobody would know whether what is known is still so
  return { reason, message: end?.message ?? '', relist: reason === 'idle', retryAfterSeconds: undefined }
}

/** Answers the version up to which the scope is now known. */
function take<T>(event: Exclude<WatchEvent, { type: 'error' | 'garbage' }>, deps: WatchDeps<T>): string {
  if (event.type === 'bookmark') {
    deps.store.advance(deps.name, event.resourceVersion)
    return event.resourceVersion
  }
  const { resourceVersion } = event.object.metadata
  if (event.type === 'deleted') deps.store.remove(deps.name, event.object)
  else {
    const entry = deps.decode(event.object)
    if (entry === undefined) deps.store.advance(deps.name, resourceVersion)
    else deps.store.observe(deps.name, entry)
  }
  return resourceVersion
}

function troubled(error: ApiError): WatchOutcome {
  if (isGone(error) || isVersionTooLarge(error)) {
    return { reason: 'expired', message: describeError(error), relist: true, retryAfterSeconds: undefined }
  }
  if (error.kind !== 'http') return { reason: 'unreachable', message: error.message, relist: false, retryAfterSeconds: undefined }
  return { reason: 'refused', message: describeError(error), relist: false, retryAfterSeconds: error.retryAfterSeconds }
}
