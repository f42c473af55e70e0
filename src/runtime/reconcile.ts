// One pass over one task: gather, decide, apply, settle, write, tell. Level-based: it may run at any time and any number of times.

import { decide } from '../core/decide.ts'
import { splitKey, type TaskKey, type Uid } from '../core/names.ts'
import type { Task } from '../core/observed.ts'
import { type Settled, settle } from '../core/settle.ts'
import type { Duration, Instant } from '../lib/instant.ts'
import { between, milliseconds } from '../lib/instant.ts'
import type { Clock } from '../ports/clock.ts'
import type { Log } from '../ports/log.ts'
import type { Meter } from '../ports/meter.ts'
import type { Tracer } from '../ports/tracer.ts'
import type { Apply } from './apply.ts'
import type { Departed } from './departed.ts'
import type { Pass } from './effects/pass.ts'
import type { WriteStatus } from './effects/status.ts'
import type { TakeBack } from './effects/takeback.ts'
import type { Gather } from './gather.ts'
import type { Tell } from './tell.ts'
import type { Doubt, Views } from './views.ts'

export interface ReconcileDeps {
  readonly views: Views
  readonly departed: Departed
  readonly doubt: Doubt
  /** tells the issuer that a task is gone for certain */
  readonly forget: (uid: Uid) => void
  readonly gather: Gather
  readonly apply: Apply
  readonly writeStatus: WriteStatus
  readonly takeBack: TakeBack
  readonly tell: Tell
  readonly clock: Clock
  readonly log: Pick<Log, 'warn'>
  readonly meter: Pick<Meter, 'reconciled'>
  readonly tracer: Pick<Tracer, 'span'>
}

/** What the queue is to do with the key next. */
export interface Next {
  readonly again: Settled['again']
  readonly wakeAfter: Duration | undefined
}

export type Reconcile = (key: TaskKey) => Promise<Next>

export function createReconcile(deps: ReconcileDeps): Reconcile {
  const { views, departed, clock } = deps

  async function pass(task: Task, resourceVersion: string, now: Instant): Promise<Settled['again'] | Settled> {
    const observed = await deps.gather(task, now)
    const plan = decide(observed, now)
    const pass: Pass = { observed, plan, stored: { record: task.record, report: task.report, resourceVersion }, written: undefined }
    const performed = await deps.apply(pass)
    const settled = settle(observed, plan, performed, clock.now())
    if (performed.some(({ outcome }) => outcome.tag === 'lost')) return 'now'
    const deleted = performed.some(({ effect }) => effect.tag === 'DeleteTask')
    const written = deleted ? ({ tag: 'done' } as const) : await deps.writeStatus(pass, settled.record, settled.report)
    if (written.tag === 'retry') deps.log.warn(written.failure.message, { task: task.key })
    if (written.tag !== 'done' && (await deps.takeBack(pass, settled)) !== 'recorded') return written.tag === 'lost' ? 'now' : 'backoff'
    if (task.gone) departed.settle(task.key, settled)
    deps.tell(observed, settled)
    return settled
  }

  /** A list did not have it and nobody saw it go: the API server is asked before anything of it dies. */
  async function settleDoubt(task: Task): Promise<'gone' | 'there' | 'unknown'> {
    const { namespace, name } = splitKey(task.key)
    const live = await deps.doubt.task(namespace, name)
    if (live.state === 'unknown') return 'unknown'
    if (live.state === 'present' && live.uid === task.uid) {
      departed.drop(task.key)
      return 'there'
    }
    departed.confirm(task.key)
    return 'gone'
  }

  async function once(task: Task, resourceVersion: string): Promise<Next> {
    const started = clock.monotonic()
    const { namespace, name, uid } = task
    const { settled, again } = await deps.tracer.span(
      'task.pass',
      { namespace, task: name, taskUid: uid, attempt: task.record.attempt },
      async (span) => {
        const result = await pass(task, resourceVersion, clock.now())
        const settled = typeof result === 'string' ? undefined : result
        const again = settled?.again ?? (result as Settled['again'])
        const ready = settled?.report.conditions.find(({ type }) => type === 'Ready')
        span.set({ result: again === 'none' ? 'success' : 'retry', ...(ready === undefined ? {} : { reason: ready.reason }) })
        return { settled, again }
      },
      'root',
    )
    deps.meter.reconciled(again === 'none' ? 'success' : 'retry', milliseconds(clock.monotonic() - started))
    return { again, wakeAfter: settled?.wakeAt === undefined ? undefined : between(clock.now(), settled.wakeAt) }
  }

  return async (key) => {
    const entry = views.tasks.entry(key)
    const left = departed.get(key)
    // what an earlier task of this name left behind comes first: its Secret stands in the way of the new one's
    if (left !== undefined && left.uid !== entry?.uid) {
      if (entry !== undefined) departed.confirm(key)
      const verdict = departed.inDoubt(key) ? await settleDoubt(left) : 'gone'
      if (verdict !== 'gone') return { ...nothing, again: verdict === 'unknown' ? 'backoff' : 'none' }
      deps.forget(left.uid)
      const next = await once(left, '')
      return entry !== undefined && next.again === 'none' ? { again: 'now', wakeAfter: undefined } : next
    }
    if (left !== undefined) departed.drop(key)
    return entry === undefined ? nothing : once(entry.value, entry.resourceVersion)
  }
}

const nothing: Next = { again: 'none', wakeAfter: undefined }
