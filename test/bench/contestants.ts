// The two contestants: a bare client that makes the writes of a life itself, and the operator, which only has to be waited for.
// The bare client decides, signs and watches nothing: it is the floor that the machine sets.

import type { RunningOperator } from '../support/operator.ts'
import type { Driver, Metadata } from './driver.ts'

export const api = '/apis/taskbound.dev/v1alpha1'
export const merge = 'application/merge-patch+json'
const as = 'system:serviceaccount:taskbound-system:taskbound'

/** What a contestant does itself after the driver's own call. */
export interface Side {
  created?(driver: Driver, namespace: string, task: Metadata): Promise<void>
  ended?(driver: Driver, namespace: string, task: string): Promise<void>
  /** Resolves once nothing is left to write. */
  settled?(): Promise<void>
}

/** What the operator wrote in one life, at each of its steps, to be written again for another task. */
export interface Sample {
  readonly task: { readonly name: string; readonly namespace: string; readonly uid: string }
  readonly secret: object
  /** merge patches of status: before the Secret, after it, and after its end */
  readonly intent: object
  readonly active: object
  readonly over: object
}

/** The same five writes as the operator's, with the same bodies, as the same user, and so under the same admission policies. */
export function floorOf(sample: Sample): Side {
  const parts = { secret: sample.secret, intent: sample.intent, active: sample.active, over: sample.over }
  const texts = Object.fromEntries(Object.entries(parts).map(([part, body]) => [part, JSON.stringify(body)]))
  /** The UID is the task's own; names of status lists and times stay, since nobody reads them. */
  const body = (part: keyof typeof parts, namespace: string, name: string, uid: string): object =>
    JSON.parse(
      (texts[part] ?? '').replaceAll(sample.task.uid, uid).replaceAll(sample.task.namespace, namespace).replaceAll(sample.task.name, name),
    ) as object
  const uids = new Map<string, string>()
  return {
    async created(driver, namespace, { name, uid }) {
      const status = `${api}/namespaces/${namespace}/agenttasks/${name}/status`
      uids.set(`${namespace}/${name}`, uid)
      await driver.call('PATCH', status, body('intent', namespace, name, uid), { type: merge, as })
      await driver.call('POST', `/api/v1/namespaces/${namespace}/secrets`, body('secret', namespace, name, uid), { as })
      await driver.call('PATCH', status, body('active', namespace, name, uid), { type: merge, as })
    },
    async ended(driver, namespace, name) {
      const [task, secrets] = [`${api}/namespaces/${namespace}/agenttasks/${name}`, `/api/v1/namespaces/${namespace}/secrets`]
      await driver.call('DELETE', `${secrets}/taskbound-${name}`, { propagationPolicy: 'Background' }, { as })
      const uid = uids.get(`${namespace}/${name}`) ?? ''
      await driver.call('PATCH', `${task}/status`, body('over', namespace, name, uid), { type: merge, as })
    },
  }
}

/** The operator watches and acts by itself; it is quiet when it wrote nothing about a task for half a second. */
export function watched(operator: RunningOperator): Side {
  return {
    async settled() {
      for (let last = -1; ; await new Promise((resolve) => setTimeout(resolve, 500))) {
        const { writes } = await costs(operator)
        if (writes === last) return
        last = writes
      }
    },
  }
}

export interface Costs {
  readonly cpuSeconds: number
  readonly rssMb: number
  /** about tasks and Secrets only: the lease, the status lists and policy statuses belong to no one life */
  readonly writes: number
  readonly reads: number
}

/** What the operator says of itself. */
export async function costs(operator: RunningOperator): Promise<Costs> {
  const text = await (await fetch(`${operator.metrics}/metrics`)).text()
  const of = (name: string): number => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1])
  let [writes, reads] = [0, 0]
  for (const [, verb = '', resource = '', n] of text.matchAll(
    /^taskbound_api_requests_total\{verb="(\w+)",resource="([^"]+)",code="\d+"\} (\d+)$/gm,
  )) {
    if (!['agenttasks/status', 'secrets', 'agenttasks'].includes(resource)) continue
    if (verb === 'GET') reads += Number(n)
    else writes += Number(n)
  }
  return { cpuSeconds: of('process_cpu_seconds_total'), rssMb: of('process_resident_memory_bytes') / 1e6, writes, reads }
}
