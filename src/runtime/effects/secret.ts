// The task's Secret: how it looks, and the fenced write that the API server admits only to who may. Material leaves the process here.

import { secretName } from '../../core/names.ts'
import type { Failure, Task } from '../../core/observed.ts'
import type { ApiError } from '../../kube/errors.ts'
import { describeError, isAlreadyExists, isNotFound } from '../../kube/errors.ts'
import type { Priority } from '../../kube/lanes.ts'
import type { KubeObject } from '../../kube/objects.ts'
import type { Place, Writes } from '../../kube/patch.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import type { Issued } from '../../ports/provider.ts'

const labels = { taskUid: 'taskbound.dev/task-uid', managedBy: 'app.kubernetes.io/managed-by' } as const
const attemptAnnotation = 'taskbound.dev/attempt'

/** What crds/admission/operator-fence.yaml answers, by which refusals are told apart. */
const fenceMessages = {
  foreign: 'this Secret was not made by the operator',
  otherTask: 'this Secret belongs to another task',
  laterAttempt: 'the stored attempt is not smaller',
} as const

/** `behind`: the stored attempt is this one or later. `foreign`: the name is taken by a Secret that is not this task's. */
export type Refusal =
  | { readonly kind: 'behind' }
  | { readonly kind: 'foreign' }
  | { readonly kind: 'lost' }
  | { readonly kind: 'absent' }
  | { readonly kind: 'failed'; readonly failure: Failure }

export function placeOf(task: Task): Place {
  return { resource: { group: '', version: 'v1', plural: 'secrets' }, namespace: task.namespace, name: secretName(task.name) }
}

/** Keys: the credential's own name where it has one field, else `<name>.<field>`, unless `keys` renames them. */
export function secretData(task: Task, issued: Readonly<Record<string, Issued>>): Readonly<Record<string, string>> {
  const data = task.spec.credentials.flatMap(({ name, keys }) => {
    const fields = Object.entries((Object.hasOwn(issued, name) ? issued[name] : undefined)?.fields ?? {})
    return fields.map(([field, material]): [string, string] => {
      // a field may be called as what every object has
      const renamed = Object.hasOwn(keys, field) ? keys[field] : undefined
      const key = renamed ?? (fields.length === 1 ? name : `${name}.${field}`)
      return [key, Buffer.from(material.reveal()).toString('base64')]
    })
  })
  // as members of its own, also one called `__proto__`
  return Object.fromEntries(data)
}

export const secretObject = (task: Task, attempt: number, data: Readonly<Record<string, string>>): object =>
  secretOf(task, { name: secretName(task.name), attempt, data })

/** A Secret of a task as the fence wants it. */
export function secretOf(
  task: Pick<Task, 'namespace' | 'name'> & { readonly uid: string },
  { name, attempt, data }: { readonly name: string; readonly attempt: number; readonly data: Readonly<Record<string, string>> },
): object {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'Opaque',
    metadata: {
      name,
      namespace: task.namespace,
      labels: { [labels.taskUid]: task.uid, [labels.managedBy]: 'taskbound' },
      annotations: { [attemptAnnotation]: String(attempt) },
      // no blockOwnerDeletion: nothing of the user's waits for us
      ownerReferences: [{ apiVersion: 'taskbound.dev/v1alpha1', kind: 'AgentTask', name: task.name, uid: task.uid, controller: true }],
    },
    data,
  }
}

export interface SecretWriter {
  readonly writes: Writes
  /** by the monotonic clock; asked as the last step before each write */
  readonly leads: () => boolean
}

/** POST, and on a taken name one PUT: the API server admits it only where the Secret is this task's and its attempt smaller. */
export async function createOrReplace({ writes, leads }: SecretWriter, place: Place, object: object): Promise<Result<KubeObject, Refusal>> {
  if (!leads()) return fail({ kind: 'lost' })
  const created = await writes.create(place, object, { echo: 'metadata' })
  if (created.ok) return ok(created.value)
  if (!isAlreadyExists(created.failure)) return fail(failed(created.failure))
  return replace({ writes, leads }, place, object)
}

export async function replace(
  { writes, leads }: SecretWriter,
  place: Place,
  object: object,
  priority: Priority = 'normal',
): Promise<Result<KubeObject, Refusal>> {
  if (!leads()) return fail({ kind: 'lost' })
  const replaced = await writes.replace(place, object, { echo: 'metadata', priority })
  return replaced.ok ? ok(replaced.value) : fail(refusalOf(replaced.failure))
}

function refusalOf(error: ApiError): Refusal {
  if (isNotFound(error)) return { kind: 'absent' }
  if (error.kind === 'http') {
    if (error.message.includes(fenceMessages.laterAttempt)) return { kind: 'behind' }
    if (error.message.includes(fenceMessages.foreign) || error.message.includes(fenceMessages.otherTask)) return { kind: 'foreign' }
  }
  return failed(error)
}

const failed = (error: ApiError): Refusal => ({
  kind: 'failed',
  failure: { reason: 'WriteFailed', message: `the Secret could not be written: ${describeError(error)}` },
})
