// Which tasks to look at when something changes. Watches are hints: everything here may be missed without harm but delay.

import { providerKey } from '../core/names.ts'
import type { Task } from '../core/observed.ts'
import type { Queue } from '../kube/queue.ts'
import type { Change, StoreView } from '../kube/store.ts'
import type { WorkPriority } from '../kube/waiting.ts'
import { equal } from '../lib/canonical.ts'
import type { Departed } from './departed.ts'
import type { Workload } from './objects/kinds.ts'
import type { Views } from './views.ts'

export interface TriggersDeps {
  readonly views: Views
  readonly queue: Pick<Queue, 'add'>
  readonly departed: Departed
  readonly leads: () => boolean
  /** whether a task has just what is being written here */
  readonly isOwn: (task: Task) => boolean
}

export interface Triggers {
  /** Looks at the tasks whose workload of this kind changes. */
  follow(kind: string, store: StoreView<Workload>): void
  /** a provider's readiness, or its object, changed */
  provider(key: string): void
  /** policies of the cluster (`undefined`) or of one namespace changed */
  policies(namespace: string | undefined): void
  /** tasks that name this kind as their workload */
  kind(apiVersion: string, kind: string): void
  everything(priority: WorkPriority): void
}

export function createTriggers({ views, queue, departed, leads, isOwn }: TriggersDeps): Triggers {
  const { tasks } = views
  const byAgent = tasks.index((task) => [`${task.namespace}/${task.spec.agent}`])
  const byNamespace = tasks.index((task) => [task.namespace])
  const byProvider = tasks.index((task) => task.spec.credentials.map((c) => providerKey(c.provider, task.namespace)))
  const byWorkload = tasks.index((task) =>
    task.spec.workload === undefined
      ? []
      : [`${task.spec.workload.kind} ${task.namespace}/${task.spec.workload.name}`, task.spec.workload.kind],
  )
  const agentsByAccount = views.agents.index((agent) => [`${agent.namespace}/${agent.serviceAccount}`])

  const add = (keys: Iterable<string>, priority: WorkPriority): void => {
    for (const key of keys) queue.add(key, priority)
  }

  tasks.subscribe((change) => {
    // what was seen to go is the leader's business; a doubt is kept for whoever leads next
    if (change.type === 'deleted' && (leads() || change.inferred)) departed.add(change.before, change.inferred)
    const priority = urgency(change, isOwn)
    if (priority !== undefined) queue.add(change.key, priority)
  })
  views.agents.subscribe(({ key }) => add(byAgent(key), 'end'))
  views.serviceAccounts.subscribe((change) => {
    for (const agent of agentsByAccount(change.key)) add(byAgent(agent), change.type === 'deleted' ? 'end' : 'new')
  })
  views.namespaces.subscribe((change) => add(byNamespace(change.key), change.after?.deleting === true ? 'end' : 'resync'))
  views.pods.subscribe((change) => {
    const pod = change.after ?? change.before
    if (pod !== undefined) queue.add(`${pod.namespace}/${pod.task}`, 'new')
  })

  return {
    follow(kind, store) {
      store.subscribe((change) => {
        const ends = change.after === undefined || change.after.finished !== undefined || change.after.deleting
        if (!ends && change.before !== undefined) return
        add(byWorkload(`${kind} ${change.key}`), ends ? 'end' : 'new')
      })
    },
    provider: (key) => add(byProvider(key), 'resync'),
    policies: (namespace) => add(namespace === undefined ? tasks.keys() : byNamespace(namespace), 'resync'),
    kind: (_apiVersion, kind) => add(byWorkload(kind), 'new'),
    everything(priority) {
      add(tasks.keys(), priority)
      add(departed.keys(), priority)
    },
  }
}

/** A pass knows what it wrote itself; a status that somebody else wrote, such as a former leader, is to be put right. */
function urgency(change: Change<Task>, isOwn: TriggersDeps['isOwn']): WorkPriority | undefined {
  const { before, after } = change
  if (after === undefined || after.deleting) return 'end'
  if (before === undefined || before.uid !== after.uid) return 'new'
  if (before.generation !== after.generation) return 'end'
  return sameStatus(before, after) || isOwn(after) ? undefined : 'resync'
}

const sameStatus = (a: Task, b: Task): boolean => equal(a.record, b.record) && equal(a.report, b.report)
