// A fake API server with what the core's world needs of one: versions, compare-and-set status, preconditions, the fence on Secrets,
// owner garbage collection, rows of the ledger, and a log of changes a kind that caches follow at their own pace. Remembers every token
// ever delivered. The source outside of the cluster is next to it.

import { isOpen, type Lease, type LeaseState } from '../../../src/core/lease.ts'
import { asUid, type Uid } from '../../../src/core/names.ts'
import type { AfterLoss, Decision, Report, RevocationClass, Task, TaskRecord } from '../../../src/core/observed.ts'
import { liveStatusRefs } from '../../../src/core/record.ts'
import type { Instant } from '../../../src/lib/instant.ts'
import { fail, ok, type Result } from '../../../src/lib/result.ts'
import { createSource } from './source.ts'

export interface Objects {
  tasks: Task
  agents: { readonly uid: Uid; readonly suspended: boolean; readonly account: string }
  accounts: { readonly uid: Uid }
  jobs: { readonly uid: Uid; readonly deleting: boolean; readonly finished: 'Succeeded' | 'Failed' | undefined }
  namespaces: { readonly terminating: boolean }
  providers: {
    readonly uid: Uid
    readonly revocation: RevocationClass
    readonly ready: boolean
    readonly serves: boolean
    readonly afterLoss?: AfterLoss
  }
  policies: { readonly issue: Decision['outcome']; readonly renew: Decision['outcome']; readonly permitted: boolean }
  /** its version is that of the stored object */
  leases: Lease
}
export type Kind = keyof Objects
export const kinds: readonly Kind[] = ['tasks', 'agents', 'accounts', 'jobs', 'namespaces', 'providers', 'policies', 'leases']

export interface Stored<K extends Kind> {
  readonly value: Objects[K]
  readonly version: number
}
export interface Change<K extends Kind> {
  readonly key: string
  readonly version: number
  /** `undefined` for a deletion */
  readonly value: Objects[K] | undefined
}

export interface Ref {
  readonly uri: string
  readonly index: number
}
export const refKey = (ref: Ref): string => `${ref.uri}#${ref.index}`

export interface Token {
  readonly task: Uid
  readonly credential: string
  readonly attempt: number
  readonly ref: Ref | undefined
  /** its name at the source outside, where it is one */
  readonly handle: string | undefined
  readonly expiresAt: Instant
  readonly by: 'Issue' | 'Renew'
}

export interface Secret {
  readonly uid: Uid
  readonly version: number
  /** the task whose operator wrote it; `undefined` for somebody else's */
  readonly owner: Uid | undefined
  readonly attempt: number
  readonly tokens: readonly Token[]
}

/** By what an intent is known: a place in a list, or a handle; nothing where neither is needed. */
export const placeOf = ({ ref, handle }: Pick<Token, 'ref' | 'handle'>): string => (ref === undefined ? (handle ?? '') : refKey(ref))

export type Refused = 'conflict' | 'notFound' | 'exists' | 'behind' | 'foreign' | 'forbidden' | 'failed'
export type Answer<T> = Result<T, Refused>

export type Server = ReturnType<typeof createServer>

/** @param sourceNow the clock of the source outside */
export function createServer(sourceNow: () => Instant) {
  let version = 0
  let uids = 0
  const objects = Object.fromEntries(kinds.map((kind) => [kind, new Map()])) as unknown as { [K in Kind]: Map<string, Stored<K>> }
  const changes = Object.fromEntries(kinds.map((kind) => [kind, []])) as unknown as { [K in Kind]: Change<K>[] }
  const secrets = new Map<string, Secret>()
  /** every token that was ever in a Secret */
  const delivered: Token[] = []
  /** `<task uid>/<credential>/<place>` to the attempts that an intent was recorded for */
  const intents = new Map<string, Set<number>>()
  /** places that were dropped from a stored record: they never read valid again */
  const dropped = new Set<string>()
  /** the newest version of each task, also of those that are gone */
  const lastSeen = new Map<Uid, Task>()
  const violations: string[] = []
  /** Secrets that somebody deleted: their tasks learn of it with the next write only */
  const byHand = new Set<Uid>()
  /** Secrets made by a call whose maker can see to them no more: a late one, or one of two leaders at once of which one failed */
  const unattended = new Set<Uid>()
  /** the tokens that such calls delivered, whatever became of the Secret, and those that were taken back */
  const stray = new Set<Token>()

  const source = createSource({ now: sourceNow, row: (handle) => objects.leases.get(handle)?.value, violations })
  /** handles whose rows an administrator gave up, also once the rows are gone */
  const givenUp = new Set<string>()
  const newUid = (of: string): Uid => asUid(`${of}-${++uids}`)

  function put<K extends Kind>(kind: K, key: string, value: Objects[K]): Stored<K> {
    const stored = { value, version: ++version }
    objects[kind].set(key, stored)
    changes[kind].push({ key, version, value })
    if (kind === 'tasks') lastSeen.set((value as Task).uid, value as Task)
    return stored
  }

  function remove(kind: Kind, key: string): void {
    const before = objects[kind].get(key)
    if (before === undefined) return
    if (kind === 'tasks') for (const ref of liveStatusRefs((before.value as Task).record)) dropped.add(refKey(ref))
    objects[kind].delete(key)
    changes[kind].push({ key, version: ++version, value: undefined })
  }

  function noteIntent(uid: Uid, record: TaskRecord): void {
    for (const { name, statusList, handle } of record.credentials) {
      const key = `${uid}/${name}/${placeOf({ ref: statusList, handle })}`
      intents.set(key, (intents.get(key) ?? new Set()).add(record.attempt))
    }
  }

  /** The status subresource. Only the version is compared: a task made anew under the name has another. */
  function patchStatus(key: string, expected: number, record: TaskRecord, report: Report): Answer<Stored<'tasks'>> {
    const stored = objects.tasks.get(key)
    if (stored === undefined) return fail('notFound')
    if (stored.version !== expected) return fail('conflict')
    const before = stored.value.record
    const refs = liveStatusRefs(record)
    for (const ref of liveStatusRefs(before)) if (!refs.some((r) => refKey(r) === refKey(ref))) dropped.add(refKey(ref))
    if (before.completion !== undefined && record.completion !== before.completion) violations.push(`${key}: an end was taken back`)
    if (record.attempt < before.attempt) violations.push(`${key}: the attempts went back from ${before.attempt} to ${record.attempt}`)
    if (record.attempt > before.attempt) noteIntent(stored.value.uid, record)
    return ok(put('tasks', key, { ...stored.value, record, report }))
  }

  function deliver(tokens: readonly Token[]): void {
    for (const token of tokens) {
      delivered.push(token)
      const recorded = intents.get(`${token.task}/${token.credential}/${placeOf(token)}`)
      const intended = token.by === 'Issue' ? recorded?.has(token.attempt) : recorded !== undefined
      if (intended !== true) violations.push(`a token of ${token.task} attempt ${token.attempt} was delivered without a recorded intent`)
    }
  }

  function createSecret(key: string, made: Omit<Secret, 'uid' | 'version'>): Answer<Secret> {
    if (objects.namespaces.get('ns')?.value.terminating === true) return fail('forbidden')
    if (secrets.has(key)) return fail('exists')
    const secret = { ...made, uid: newUid('secret'), version: ++version }
    secrets.set(key, secret)
    deliver(made.tokens)
    return ok(secret)
  }

  /** The fence: only over a Secret of the same task with a smaller attempt. */
  function replaceSecret(key: string, made: Omit<Secret, 'uid' | 'version'>): Answer<Secret> {
    const stored = secrets.get(key)
    if (stored === undefined) return fail('notFound')
    if (stored.owner === undefined || stored.owner !== made.owner) return fail('foreign')
    if (stored.attempt >= made.attempt) return fail('behind')
    if (stored.owner !== made.owner) violations.push(`${key}: a Secret of somebody else was overwritten`)
    const secret = { ...made, uid: stored.uid, version: ++version }
    secrets.set(key, secret)
    deliver(made.tokens)
    return ok(secret)
  }

  function deleteSecret(key: string, uid: Uid, expected?: number): Answer<undefined> {
    const stored = secrets.get(key)
    if (stored === undefined) return fail('notFound')
    if (stored.uid !== uid || (expected !== undefined && stored.version !== expected)) return fail('conflict')
    if (expected !== undefined) for (const token of stored.tokens) stray.add(token)
    if (stored.owner === undefined) violations.push(`${key}: a Secret of somebody else was deleted`)
    secrets.delete(key)
    return ok(undefined)
  }

  function createRow(row: Lease): Answer<Stored<'leases'>> {
    return objects.leases.has(row.handle) ? fail('exists') : ok(put('leases', row.handle, row))
  }

  function patchRow(handle: string, expected: number, next: Partial<Lease> & { readonly state: LeaseState }): Answer<Stored<'leases'>> {
    const stored = objects.leases.get(handle)
    if (stored === undefined) return fail('notFound')
    if (stored.version !== expected) return fail('conflict')
    if (next.state === 'Revoked' && source.lives(handle)) violations.push(`row ${handle} was closed and its role lives`)
    const found = next.foundDeadAt !== undefined && stored.value.foundDeadAt === undefined
    if (found && !source.killedOutside.has(handle)) violations.push(`row ${handle} says that somebody else ended it, and nobody did`)
    if (!isOpen(stored.value) && isOpen(next)) violations.push(`row ${handle} was opened again`)
    return ok(put('leases', handle, { ...stored.value, ...next }))
  }

  function removeRow(handle: string, expected: number): Answer<undefined> {
    const stored = objects.leases.get(handle)
    if (stored === undefined) return fail('notFound')
    if (stored.version !== expected) return fail('conflict')
    // what was given up may live: without its row, a sweep kills it if it can
    if (stored.value.state !== 'Irrevocable' && source.lives(handle)) violations.push(`row ${handle} was deleted and its role lives`)
    remove('leases', handle)
    return ok(undefined)
  }

  /** Removes every Secret whose owner does not exist. */
  function collect(): void {
    const owners = new Set([...objects.tasks.values()].map((t) => t.value.uid))
    for (const [key, { owner }] of secrets) if (owner !== undefined && !owners.has(owner)) secrets.delete(key)
  }

  /** Whether a place reads valid by the stored records alone. */
  const reads = (ref: Ref): boolean =>
    !dropped.has(refKey(ref)) &&
    [...objects.tasks.values()].some((t) => liveStatusRefs(t.value.record).some((r) => refKey(r) === refKey(ref)))

  return {
    objects,
    changes,
    secrets,
    delivered,
    lastSeen,
    violations,
    newUid,
    put,
    remove,
    patchStatus,
    createSecret,
    replaceSecret,
    deleteSecret,
    createRow,
    patchRow,
    removeRow,
    /** by an administrator */
    giveUp(row: Lease): void {
      givenUp.add(row.handle)
      put('leases', row.handle, { ...row, acknowledged: 'the source is gone' })
    },
    givenUp,
    source,
    collect,
    reads,
    /** by somebody else's hand */
    plant: (key: string) => void secrets.set(key, { uid: newUid('secret'), version: ++version, owner: undefined, attempt: 0, tokens: [] }),
    dropSecret(key: string): void {
      const stored = secrets.get(key)
      if (stored !== undefined) byHand.add(stored.uid)
      secrets.delete(key)
    },
    byHand,
    unattended,
    stray,
    abandon: ({ uid }: Secret) => void unattended.add(uid),
    version: () => version,
  }
}
