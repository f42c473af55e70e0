// Taking everything back before the operator is removed: the mode that an administrator sets in a ConfigMap of the operator's namespace,
// and what the leader reports there of what is left. What it means for a task is decided in the core.

import type { Lease } from '../core/lease.ts'
import { isExpiring, isOpen } from '../core/lease.ts'
import { providerKey, type TaskKey } from '../core/names.ts'
import type { Task } from '../core/observed.ts'
import { isAlive, phase } from '../core/record.ts'
import type { KubeClient } from '../kube/client.ts'
import { describeError } from '../kube/errors.ts'
import { type KubeObject, pathOf } from '../kube/objects.ts'
import type { StoreView } from '../kube/store.ts'
import type { Instant } from '../lib/instant.ts'
import type { Clock } from '../ports/clock.ts'
import type { Log } from '../ports/log.ts'
import { record, text } from './objects/fields.ts'
import { configMaps } from './storage.ts'

/** Name of the ConfigMap. Its key `mode` may say `Draining`; anything else, or nothing, means that the operator serves. */
export const modeName = 'taskbound-mode'

export interface Mode {
  readonly draining: boolean
  /** which drain it is, by the choice of whoever asked for it */
  readonly drain: string | undefined
}

/** What the leader writes under the key `status` of the ConfigMap, as JSON, about every second while it drains. */
export interface DrainStatus {
  /** `drain` of the mode that it answers to */
  readonly drain: string | undefined
  readonly replica: string
  /** tasks of which something may still work, or whose Secret may still exist */
  readonly tasks: number
  /** rows of the ledger that are open */
  readonly leases: number
  /** some of both, a line each */
  readonly remaining: readonly string[]
}

export function readMode(object: KubeObject): Mode {
  const data = record(object['data'])
  return { draining: text(data['mode']) === 'Draining', drain: text(data['drain']) }
}

export function readDrainStatus(object: KubeObject): DrainStatus | undefined {
  try {
    return JSON.parse(text(record(object['data'])['status']) ?? '') as DrainStatus
  } catch {
    return undefined
  }
}

/** Whether something of a task may still work, or its Secret may still exist. */
const owes = ({ record }: Task, now: Instant, expiring: ReadonlySet<string>): boolean =>
  phase(record) !== 'none' || record.credentials.some((c) => isAlive(c, now) && !expiring.has(c.handle ?? ''))

const most = 20

/** What is left to take back. What nobody can end is not waited for: it dies without an operator too. */
export function remains(tasks: Iterable<Task>, leases: Iterable<Lease>, now: Instant): Pick<DrainStatus, 'tasks' | 'leases' | 'remaining'> {
  const rows = [...leases].filter(isOpen)
  const expiring = new Set(rows.filter(isExpiring).map(({ handle }) => handle))
  const left = [...tasks].filter((task) => owes(task, now, expiring))
  const open = rows.filter((row) => !isExpiring(row))
  return {
    tasks: left.length,
    leases: open.length,
    remaining: [
      ...left.slice(0, most).map(({ key }) => `AgentTask ${key}`),
      ...open
        .slice(0, most)
        .map(
          ({ handle, task, provider, message }) =>
            `${handle} of ${task.key} at provider ${providerKey(provider, task.namespace)}: ${message ?? 'being revoked'}`,
        ),
    ],
  }
}

export interface DrainDeps {
  readonly watching: {
    readonly mode: { readonly store: StoreView<Mode> }
    readonly tasks: { readonly store: StoreView<Task> }
    readonly leases: { readonly store: StoreView<Lease> }
  }
  /** tasks that are gone and still owe something */
  readonly departed: { keys(): Iterable<TaskKey> }
  readonly leads: () => boolean
  /** the mode changed: every task is to be looked at */
  readonly changed: () => void
  readonly client: Pick<KubeClient, 'request'>
  readonly namespace: string
  readonly replica: string
  readonly clock: Clock
  readonly log: Pick<Log, 'warn' | 'info'>
}

export interface Drain {
  draining(): boolean
  start(): void
  stop(): void
}

const period = 500

export function createDrain(deps: DrainDeps): Drain {
  const { log } = deps
  const { mode, tasks, leases } = deps.watching
  let draining = false
  let reporting: ReturnType<typeof setInterval> | undefined
  let written = ''
  let busy = false

  mode.store.subscribe(({ after }) => {
    // The object goes with the release, before the last replica does: that is no order to issue again.
    if (after === undefined || after.draining === draining) return
    draining = after.draining
    if (draining) log.warn('draining: everything is taken back and nothing is issued')
    else log.info('serving again')
    deps.changed()
  })

  async function report(): Promise<void> {
    const [asked] = mode.store.values()
    if (!draining || asked === undefined || !deps.leads() || busy) return
    const left = remains(tasks.store.values(), leases.store.values(), deps.clock.now())
    const gone = [...deps.departed.keys()]
    const status: DrainStatus = {
      drain: asked.drain,
      replica: deps.replica,
      ...left,
      tasks: left.tasks + gone.length,
      remaining: [...left.remaining, ...gone.slice(0, most).map((key) => `AgentTask ${key}, which is deleted`)],
    }
    const text = JSON.stringify(status)
    if (text === written) return
    busy = true
    const patched = await deps.client.request({
      method: 'PATCH',
      path: pathOf(configMaps, { namespace: deps.namespace, name: modeName }),
      contentType: 'application/merge-patch+json',
      body: { data: { status: text } },
    })
    busy = false
    if (patched.ok) written = text
    else log.warn('what is left to take back could not be reported', { reason: describeError(patched.failure) })
  }

  return {
    draining: () => draining,
    start() {
      reporting = setInterval(() => void report(), period)
      reporting.unref()
    },
    stop: () => clearInterval(reporting),
  }
}
