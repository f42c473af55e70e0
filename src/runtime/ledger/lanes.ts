// One queue a provider, so that a slow source delays nobody else's revocation; within a queue it is fair between namespaces: they take turns,
// and none can hold every worker, nor can what fails hold those that are kept for what has just ended.

import { createQueue, type Queue, type QueueDeps, type Worker } from '../../kube/queue.ts'

export interface Lanes {
  of(provider: string): Queue
  start(worker: Worker): void
  stop(): Promise<void>
}

/**
 * @param concurrency workers of each queue. Of several, half are kept for the priority `end`, and a namespace gets half for what ends and all
 * but one of the others for what does not
 */
export function createLanes(deps: Omit<QueueDeps, 'concurrency' | 'groupOf' | 'reserved' | 'share'>, concurrency: number): Lanes {
  const half = Math.max(1, Math.floor(concurrency / 2))
  const reserved = concurrency - half
  const share = { end: half, ordinary: Math.max(1, half - 1) }
  const lanes = new Map<string, Queue>()
  let worker: Worker | undefined
  return {
    of(provider) {
      const known = lanes.get(provider)
      if (known !== undefined) return known
      const made = createQueue({ ...deps, concurrency, reserved, share })
      lanes.set(provider, made)
      if (worker !== undefined) void made.run(worker)
      return made
    },
    start(work) {
      worker = work
      for (const lane of lanes.values()) void lane.run(work)
    },
    stop: async () => void (await Promise.all([...lanes.values()].map((lane) => lane.shutdown('drop')))),
  }
}
