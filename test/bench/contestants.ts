// The contestants: a bare client that makes the writes of a life itself, the operator, and one that is written as examples have it, which
// both only have to be waited for. The bare client decides, signs and watches nothing: it is the floor that the machine sets.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { RunningOperator } from '../support/operator.ts'
import type { Driver, Metadata } from './driver.ts'

export const api = '/apis/taskbound.dev/v1alpha1'
export const merge = 'application/merge-patch+json'
export const as = 'system:serviceaccount:taskbound-system:taskbound'

/** What a contestant does itself after the driver's own call. */
export interface Side {
  created?(driver: Driver, namespace: string, task: Metadata): Promise<void>
  ended?(driver: Driver, namespace: string, task: string): Promise<void>
  /** Resolves once nothing is left to write. */
  settled?(): Promise<void>
}

export interface Costs {
  readonly cpuSeconds: number
  readonly rssMb: number
  /** about tasks and Secrets only: the lease, the status lists and policy statuses belong to no one life */
  readonly writes: number
  readonly reads: number
  /** over a task, whether or not it wrote */
  readonly passes: number
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

type Body = (part: 'secret' | 'intent' | 'active' | 'over', namespace: string, name: string, uid: string) => object

/** The UID is the task's own; names of status lists and times stay, since nobody reads them. */
export function bodiesOf({ task, ...parts }: Sample): Body {
  const texts = Object.fromEntries(Object.entries(parts).map(([part, body]) => [part, JSON.stringify(body)]))
  return (part, namespace, name, uid) =>
    JSON.parse((texts[part] ?? '').replaceAll(task.uid, uid).replaceAll(task.namespace, namespace).replaceAll(task.name, name)) as object
}

/** The same five writes as the operator's, with the same bodies, as the same user, and so under the same admission policies. */
export function floorOf(sample: Sample): Side {
  const body = bodiesOf(sample)
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

/** Who watches acts by itself; it is quiet when it looked at no task and wrote nothing about one for half a second. */
export function watched(costs: () => Promise<Costs>): Side {
  return {
    async settled() {
      for (let last = -1; ; await new Promise((resolve) => setTimeout(resolve, 500))) {
        const { writes, passes } = await costs()
        if (writes + passes === last) return
        last = writes + passes
      }
    },
  }
}

export interface Naive {
  costs(): Promise<Costs>
  stop(): Promise<void>
}

/** Starts the one of naive.ts and waits until it has its first list. A write of it that failed is an error of `costs`. */
export async function startNaive(kubeconfig: string, sample: Sample): Promise<Naive> {
  const child = fork(fileURLToPath(new URL('./naive.ts', import.meta.url)), {
    env: { PATH: process.env['PATH'] ?? '', NAIVE: JSON.stringify({ kubeconfig, sample }) },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const exit = once(child, 'exit')
  const gone = exit.then(([code]) => Promise.reject(new Error(`the naive operator ended with ${code}`)))
  gone.catch(() => undefined)
  const message = (): Promise<unknown[]> => Promise.race([once(child, 'message'), gone])
  await message()
  return {
    async costs() {
      const answer = message()
      child.send({})
      const [{ costs, failures }] = (await answer) as [{ costs: Costs; failures: number }]
      if (failures > 0) throw new Error(`${failures} lives of the naive operator failed`)
      return costs
    },
    async stop() {
      child.kill()
      await exit
    },
  }
}

/** What the operator says of itself. */
export async function costs(operator: RunningOperator): Promise<Costs> {
  const text = await (await fetch(`${operator.metrics}/metrics`)).text()
  const of = (name: string): number => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1])
  let [writes, reads, passes] = [0, 0, 0]
  for (const [, verb = '', resource = '', n] of text.matchAll(
    /^taskbound_api_requests_total\{verb="(\w+)",resource="([^"]+)",code="\d+"\} (\d+)$/gm,
  )) {
    if (!['agenttasks/status', 'secrets', 'agenttasks'].includes(resource)) continue
    if (verb === 'GET') reads += Number(n)
    else writes += Number(n)
  }
  for (const [, n] of text.matchAll(/^taskbound_reconcile_total\{[^}]*\} (\d+)$/gm)) passes += Number(n)
  return { cpuSeconds: of('process_cpu_seconds_total'), rssMb: of('process_resident_memory_bytes') / 1e6, writes, reads, passes }
}
