// A cluster that has never seen Taskbound, for pages that begin there: with helm for the reader, and what no node runs there played by the
// test: the hooks of a release, its operator, and pods.

import { setTimeout as sleep } from 'node:timers/promises'
import { untilStamping } from '../../cluster/shared.ts'
import { startCluster } from '../../cluster/start.ts'
import { type RunningOperator, startOperator } from '../../support/operator.ts'
import { ensureHelm } from '../../tools/helm/build.ts'
import { runHooks } from '../chart/support.ts'
import { createDocumented, type Documented } from './documented.ts'

/** What is told of one that waits. */
export interface Pod {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
}

export interface Fresh {
  readonly docs: Documented
  /** Starts the operator that the release asks for, and waits until it leads. */
  operate(): Promise<void>
  /**
   * Runs the pods of a namespace from now on.
   * @param run does the work of one that waits, and answers whether it has ended well
   */
  play(namespace: string, run: (pod: Pod) => Promise<boolean>): void
  close(): Promise<void>
}

/** helm may have to be built first */
export const freshTimeout = 900_000

export async function createFresh(): Promise<Fresh> {
  const helm = await ensureHelm(4, process.env)
  const cluster = await startCluster()
  const { kubeconfig, kubectl } = cluster
  const docs = await createDocumented({ tools: { helm }, access: { kubeconfig, kubectl } })
  const { kube } = docs
  const hooks = runHooks(kube)
  const stopped = new AbortController()
  let operator: RunningOperator | undefined
  let playing: Promise<void> | undefined

  async function play(pods: string, run: (pod: Pod) => Promise<boolean>): Promise<void> {
    while (!stopped.signal.aborted) {
      const { body } = await kube.request('GET', `${pods}?fieldSelector=status.phase%3DPending`)
      for (const { metadata } of body.items ?? [])
        if (await run(metadata)) await kube.must('PATCH', `${pods}/${metadata.name}/status`, { status: { phase: 'Succeeded' } })
      await sleep(200)
    }
  }

  return {
    docs,
    async operate() {
      operator = await startOperator({ kubeconfig })
      await operator.active()
      await untilStamping(cluster, 'crds')
    },
    play(namespace, run) {
      playing = play(`/api/v1/namespaces/${namespace}/pods`, run)
    },
    async close() {
      stopped.abort()
      await playing
      await hooks.stop()
      await operator?.stop()
      await docs.close()
      await cluster.stop()
    },
  }
}
