// After a Secret was written and the status write that should say so was lost: either the record is still ours, and the status is
// written again, or somebody else has gone on, and what was written is taken back, exactly that version of it and nothing newer.

import type { Settled } from '../../core/settle.ts'
import type { KubeClient } from '../../kube/client.ts'
import { isNotFound } from '../../kube/errors.ts'
import { type KubeObject, pathOf } from '../../kube/objects.ts'
import { readTask } from '../objects/task.ts'
import type { Pass } from './pass.ts'
import { placeOf, type SecretWriter } from './secret.ts'
import { tasksResource, type WriteStatus } from './status.ts'

export interface TakeBackDeps extends SecretWriter {
  readonly client: Pick<KubeClient, 'request'>
  readonly writeStatus: WriteStatus
}

/** `recorded`: the status was written after all. */
export type TakeBack = (pass: Pass, settled: Settled) => Promise<'recorded' | 'taken back' | 'unknown' | 'nothing written'>

const reads = 3

export function createTakeBack({ client, writes, writeStatus }: TakeBackDeps): TakeBack {
  return async (pass, settled) => {
    const { written } = pass
    const { task } = pass.observed
    if (written === undefined) return 'nothing written'
    const path = pathOf(tasksResource, { namespace: task.namespace, name: task.name })
    let live = await client.request<KubeObject>({ method: 'GET', path, priority: 'end' })
    for (let attempt = 1; !live.ok && !isNotFound(live.failure) && attempt < reads; attempt += 1) {
      live = await client.request<KubeObject>({ method: 'GET', path, priority: 'end' })
    }
    // not known whose it is: the open intent, or the attempt that the fence refuses, has the next pass sort it out
    if (!live.ok && !isNotFound(live.failure)) return 'unknown'
    const now = live.ok ? readTask(live.value.body) : undefined
    if (live.ok && now?.uid === task.uid) {
      // the write arrived, and only its answer was lost
      const { secret } = now.record
      if (secret?.uid === written.uid && secret.attempt === settled.record.attempt) return 'recorded'
      const ours = now.record.attempt === pass.stored.record.attempt && now.record.completedAt === undefined
      if (ours && !now.deleting) {
        pass.stored = { record: now.record, report: now.report, resourceVersion: live.value.body.metadata.resourceVersion }
        // a write without an answer may still land, so the Secret stays; its intent is open
        return (await writeStatus(pass, settled.record, settled.report)).tag === 'done' ? 'recorded' : 'unknown'
      }
    }
    await writes.remove(placeOf(task), written, { priority: 'end' })
    return 'taken back'
  }
}
