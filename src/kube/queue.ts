// The work queue: keys, never objects; one key is worked on by one worker at a time; what ends credentials goes first.
// It never stops because a worker threw, and it forgets nothing that was added while its key was being worked on.

import { type BackoffSettings, backoff } from '../lib/backoff.ts'
import { type Duration, milliseconds, seconds } from '../lib/instant.ts'
import type { Clock } from '../ports/clock.ts'
import type { Entropy } from '../ports/entropy.ts'
import type { Log } from '../ports/log.ts'
import { createDeadlines } from './deadlines.ts'
import type { Timers } from './timers.ts'
import { createWaitingKeys, priorities, type WorkPriority } from './waiting.ts'

export type Worker = (key: string, priority: WorkPriority) => Promise<void>

export interface Queue {
  /** Default priority `new`. A waiting key is raised, never lowered; a key in work is worked on once more afterwards. */
  add(key: string, priority?: WorkPriority): void
  /** The same after a while. The earliest of several such times counts, with the highest of their priorities. */
  addAfter(key: string, delay: Duration, priority?: WorkPriority): void
  /** `addAfter` with the key's own backoff, which grows until `forget`. Default priority is that of the last run. */
  retry(key: string, priority?: WorkPriority): void
  /** The key is well: its backoff begins anew. */
  forget(key: string): void
  /** So many keys in work wait for somebody else and take no place: others are worked on instead of them. */
  lend(places: number): void
  depth(): Readonly<Record<WorkPriority | 'working' | 'delayed', number>>
  /** how long the key that waits longest has been waiting */
  oldest(): Duration | undefined
  /** Starts the workers; to be called once. Resolves when `shutdown` has finished. */
  run(worker: Worker): Promise<void>
  /** Takes nothing more. `drain` first works off what waits, `drop` only what is in work. Resolves when no worker runs. */
  shutdown(mode: 'drain' | 'drop'): Promise<void>
}

export interface QueueDeps {
  readonly clock: Pick<Clock, 'monotonic'>
  readonly entropy: Pick<Entropy, 'unit'>
  readonly log: Pick<Log, 'error'>
  readonly timers?: Timers
  /** keys in work at a time */
  readonly concurrency: number
  /** how many of them are kept for `end`; default one quarter, at least one when there are several */
  readonly reserved?: number
  /** how many keys of one group may be in work at a time, of `end` and of what is not; default all */
  readonly share?: { readonly end: number; readonly ordinary: number }
  /** default: the namespace of `<namespace>/<name>` */
  readonly groupOf?: (key: string) => string
  /** default 0.5 s to 5 min */
  readonly backoff?: BackoffSettings
}

export function createQueue(deps: QueueDeps): Queue {
  const { clock, entropy, log, concurrency } = deps
  const reserved = deps.reserved ?? (concurrency > 1 ? Math.max(1, Math.floor(concurrency / 4)) : 0)
  const settings = deps.backoff ?? { first: milliseconds(500), cap: seconds(300) }
  const groupOf = deps.groupOf ?? ((key: string) => key.slice(0, Math.max(0, key.indexOf('/'))))
  const waiting = createWaitingKeys(groupOf)
  const working = new Map<string, WorkPriority>()
  const again = new Map<string, WorkPriority>()
  const failures = new Map<string, number>()
  const delayed = new Map<string, WorkPriority>()
  const delays = createDeadlines<Duration>({
    now: clock.monotonic,
    fire(key) {
      const priority = delayed.get(key) ?? 'new'
      delayed.delete(key)
      queue.add(key, priority)
    },
    ...(deps.timers === undefined ? {} : { timers: deps.timers }),
  })
  const finished = Promise.withResolvers<void>()
  let work: Worker | undefined
  let closing = false
  let lent = 0

  function hasRoom(group: string, priority: WorkPriority): boolean {
    if (deps.share === undefined) return true
    const others = [...working].filter(([key]) => groupOf(key) === group)
    const ordinary = others.filter(([, other]) => other !== 'end').length
    return others.length < deps.share.end && (priority === 'end' || ordinary < deps.share.ordinary)
  }

  function pump(): void {
    if (work === undefined) return
    while (working.size < concurrency + lent) {
      const ordinary = [...working.values()].filter((priority) => priority !== 'end').length
      const next = waiting.take((priority) => priority === 'end' || ordinary < concurrency - reserved + lent, hasRoom)
      if (next === undefined) break
      working.set(next.key, next.priority)
      void process(work, next.key, next.priority)
    }
    if (closing && working.size === 0) finished.resolve()
  }

  async function process(worker: Worker, key: string, priority: WorkPriority): Promise<void> {
    try {
      await worker(key, priority)
    } catch (error) {
      log.error('a worker threw', { key, error: error instanceof Error ? error : new Error(String(error)) })
      queue.retry(key, priority)
    }
    working.delete(key)
    const dirty = again.get(key)
    again.delete(key)
    if (dirty !== undefined) waiting.add(key, dirty, clock.monotonic())
    pump()
  }

  const queue: Queue = {
    add(key, priority = 'new') {
      if (closing) return
      if (working.has(key)) {
        again.set(key, higher(again.get(key), priority))
        return
      }
      waiting.add(key, priority, clock.monotonic())
      pump()
    },
    addAfter(key, delay, priority = 'new') {
      if (closing) return
      if (delay <= 0) return queue.add(key, priority)
      const time = milliseconds(clock.monotonic() + delay)
      delayed.set(key, higher(delayed.get(key), priority))
      delays.set(key, milliseconds(Math.min(delays.get(key) ?? time, time)))
    },
    retry(key, priority) {
      const count = (failures.get(key) ?? 0) + 1
      failures.set(key, count)
      queue.addAfter(key, backoff(settings, count, entropy.unit()), priority ?? working.get(key) ?? 'new')
    },
    forget: (key) => void failures.delete(key),
    lend(places) {
      lent = places
      pump()
    },
    depth: () => ({
      end: waiting.count('end'),
      new: waiting.count('new'),
      resync: waiting.count('resync'),
      working: working.size,
      delayed: delayed.size,
    }),
    oldest() {
      const since = waiting.oldest()
      return since === undefined ? undefined : milliseconds(clock.monotonic() - since)
    },
    run(worker) {
      work = worker
      pump()
      return finished.promise
    },
    shutdown(mode) {
      closing = true
      delays.stop()
      delayed.clear()
      if (mode === 'drop' || work === undefined) {
        waiting.clear()
        again.clear()
      }
      if (work === undefined) finished.resolve()
      pump()
      return finished.promise
    },
  }
  return queue
}

function higher(a: WorkPriority | undefined, b: WorkPriority): WorkPriority {
  return a !== undefined && priorities.indexOf(a) < priorities.indexOf(b) ? a : b
}
