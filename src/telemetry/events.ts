// Kubernetes events (`events.k8s.io/v1`) on AgentTasks. Fire and forget: a slow or refusing API server costs events, never a pass.

import { createHash } from 'node:crypto'
import { splitKey } from '../core/names.ts'
import { type Duration, type Instant, seconds } from '../lib/instant.ts'
import type { Result } from '../lib/result.ts'
import type { Clock } from '../ports/clock.ts'
import type { EventNote } from '../ports/journal.ts'
import { redact } from './redact.ts'

/** Creates an object at a path of the API server. An object that exists already is no failure: names are deterministic. */
export type PostEvent = (path: string, body: unknown) => Promise<Result<unknown, unknown>>

export interface EventsOptions {
  readonly post: PostEvent
  readonly clock: Clock
  /** name of this replica, `reportingInstance` */
  readonly replica: string
  /** Called once for each event that was not written. */
  readonly onDrop: () => void
  readonly limits?: { readonly waiting: number; readonly inFlight: number; readonly remembered: number }
}

export interface EventWriter {
  event(note: EventNote): void
  /** Resolves once nothing waits and nothing is in flight. */
  flush(): Promise<void>
}

/** The same fact about the same task is told once in this time. */
const quiet: Duration = seconds(600)
const defaultLimits = { waiting: 256, inFlight: 4, remembered: 4096 }
/** `note` may have this many bytes of UTF-8; longer ones are refused by the API server. */
const noteBytes = 1024

function shorten(note: string): string {
  const bytes = Buffer.from(note)
  if (bytes.length <= noteBytes) return note
  // the decoder drops a character that was cut in the middle
  return `${new TextDecoder('utf-8').decode(bytes.subarray(0, noteBytes - 3), { stream: true })}...`
}

/** `metav1.MicroTime` has exactly six digits. */
const microTime = (time: Instant): string => new Date(time).toISOString().replace('Z', '000Z')

function build(note: EventNote, now: Instant, replica: string): { readonly path: string; readonly body: unknown } {
  const { namespace, name } = splitKey(note.subject.task)
  const text = shorten(redact(note.note))
  const window = Math.floor(now / quiet)
  const id = createHash('sha256')
    .update(JSON.stringify([note.subject.taskUid, note.reason, text, window]))
    .digest('hex')
  return {
    path: `/apis/events.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/events`,
    body: {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { name: `${name}.${id.slice(0, 16)}`, namespace },
      eventTime: microTime(now),
      reportingController: 'taskbound.dev/controller',
      reportingInstance: replica.slice(0, 128),
      type: note.type,
      reason: note.reason,
      action: note.action,
      note: text,
      regarding: { apiVersion: 'taskbound.dev/v1alpha1', kind: 'AgentTask', namespace, name, uid: note.subject.taskUid },
      related: { apiVersion: 'taskbound.dev/v1alpha1', kind: 'Agent', namespace, name: note.subject.agent },
    },
  }
}

export function createEvents(options: EventsOptions): EventWriter {
  const { post, clock, replica, onDrop } = options
  const limits = options.limits ?? defaultLimits
  const told = new Map<string, Instant>()
  const queue: { readonly key: string; readonly path: string; readonly body: unknown }[] = []
  let inFlight = 0
  let waiting: (() => void)[] = []

  const repeated = (key: string, now: Instant): boolean => {
    const last = told.get(key)
    if (last !== undefined && now - last < quiet && now >= last) return true
    told.delete(key)
    told.set(key, now)
    // insertion order is age: the oldest go first
    for (const [old, time] of told) {
      if (told.size <= limits.remembered && now - time < quiet) break
      told.delete(old)
    }
    return false
  }
  const lost = (key: string): void => {
    // what was not told may be told when it comes again
    told.delete(key)
    onDrop()
  }
  const pump = (): void => {
    while (inFlight < limits.inFlight) {
      const next = queue.shift()
      if (next === undefined) break
      inFlight += 1
      send(next)
    }
    if (inFlight > 0) return
    for (const wake of waiting) wake()
    waiting = []
  }
  const send = async ({ key, path, body }: (typeof queue)[number]): Promise<void> => {
    try {
      const result = await post(path, body)
      if (!result.ok) lost(key)
    } catch {
      lost(key)
    }
    inFlight -= 1
    pump()
  }

  return {
    event(note) {
      const now = clock.now()
      const key = JSON.stringify([note.subject.taskUid, note.reason, note.note])
      if (repeated(key, now)) return
      if (queue.length >= limits.waiting) {
        lost(key)
        return
      }
      queue.push({ key, ...build(note, now, replica) })
      pump()
    },
    flush: () => (inFlight === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
  }
}
