// One queue a provider, so that a slow source delays nobody else's revocation; within a queue it is fair between namespaces.

import { createQueue, type Queue, type QueueDeps, type Worker } from '../../kube/queue.ts'

export interface Lanes {
  of(provider: string): Queue
  start(worker: Worker): void
  stop(): Promise<void>
}

export function createLanes(deps: Omit<QueueDeps, 'concurrency' | 'groupOf'>, concurrency: number): Lanes {
  const lanes = new Map<string, Queue>()
  let worker: Worker | undefined
  return {
    of(provider) {
      const known = lanes.get(provider)
      if (known !== undefined) return known
      const made = createQueue({ ...deps, concurrency, reserved: 0 })
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
