// The rows of the ledger: how a credential outside the cluster is named, and what is owed to a row at one moment. Pure.

import { createHash } from 'node:crypto'
import type { Reason } from '../api/reasons.ts'
import { type Duration, earliest, type Instant, plus, seconds } from '../lib/instant.ts'
import { unreachable } from '../lib/unreachable.ts'
import type { TaskKey, Uid } from './names.ts'
import type { ProviderRef, Task, TaskRecord } from './observed.ts'
import { phase } from './record.ts'

export type LeaseState = 'Intended' | 'Issued' | 'Revoking' | 'Revoked' | 'Expired' | 'Irrevocable'

/** One row: an intent, and what became of it. No material, and nothing that is authority by itself. */
export interface Lease {
  readonly handle: string
  readonly uid: Uid
  readonly resourceVersion: string
  readonly createdAt: Instant
  readonly task: { readonly key: TaskKey; readonly namespace: string; readonly name: string; readonly uid: Uid }
  readonly agent: string
  readonly action: string
  readonly credential: string
  readonly attempt: number
  readonly provider: ProviderRef & { readonly uid: Uid; readonly type: string }
  /** nothing is sent to the source under this row after it */
  readonly effectBy: Instant
  readonly state: LeaseState
  /** what the source itself calls it, where that cannot be told from the handle */
  readonly reference: string | undefined
  readonly issuedAt: Instant | undefined
  readonly expiresAt: Instant | undefined
  readonly closedAt: Instant | undefined
  /** when it was found that somebody else had ended it at its source */
  readonly foundDeadAt: Instant | undefined
  readonly reason: Reason | undefined
  readonly message: string | undefined
  /** an administrator's reason for giving it up: the annotation `taskbound.dev/irrevocable` */
  readonly acknowledged: string | undefined
}

/** Whether nobody can end it, and it is only waited for until it dies by itself. */
export const isExpiring = ({ state, reason }: Pick<Lease, 'state' | 'reason'>): boolean => state === 'Revoking' && reason === 'ExpiresAt'

/** How long after the row is written something may be sent to the source. */
export const effectTime: Duration = seconds(30)
/** Closed rows stay that long, so that a handle is never used twice and auditors find them. */
export const tombstoneTime: Duration = seconds(86_400)
/**
 * A row ahead of its task's record: the record is on its way, or was lost with a restored backup. Counted from `effectBy`, which is of the
 * operator's own clock: the API server's may be another.
 */
const overtaking: Duration = seconds(30)

const alphabet = 'abcdefghijklmnopqrstuvwxyz234567'

/** The first `length` characters of the digest's base32 (RFC 4648, lower case). */
function base32(parts: readonly string[], length: number): string {
  // a length before each part: no two lists of parts are hashed as the same text
  const hash = createHash('sha256')
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}:${part}`)
  let [bits, held, text] = [0, 0, '']
  for (const byte of hash.digest()) {
    held = (held << 8) | byte
    bits += 8
    while (bits >= 5 && text.length < length) {
      bits -= 5
      text += alphabet[(held >>> bits) & 31]
    }
    held &= (1 << bits) - 1
  }
  return text
}

/**
 * What all handles of one installation begin with: 12 characters.
 * @param clusterUid UID of the namespace `kube-system`
 * @param namespace the operator's own
 */
export const handlePrefix = (clusterUid: string, namespace: string): string => `tb${base32([clusterUid, namespace], 10)}`

/** The name at its source of one credential of one attempt: 38 characters of [a-z2-7], which no source cuts. */
export const handleOf = (prefix: string, task: Uid, credential: string, attempt: number): string =>
  `${prefix}${base32([task, credential, String(attempt)], 26)}`

/** Whether something is a handle of the installation with this prefix, as `handleOf` makes them. */
export const isHandleOf = (prefix: string, handle: string): boolean => handle.startsWith(prefix) && /^tb[a-z2-7]{36}$/.test(handle)

/** Whether it may still be alive at its source. */
export const isOpen = ({ state }: Pick<Lease, 'state'>): boolean => state === 'Intended' || state === 'Issued' || state === 'Revoking'

/**
 * Whether the record says, of whatever age, that pods hold what the handle names, or are about to. A stop has spent a later attempt, so
 * that what it dooms is not claimed any more from then on; nor ever again, since attempts only grow.
 */
export function claims(record: TaskRecord, handle: string): boolean {
  const credential = record.credentials.find((c) => c.handle === handle)
  if (credential === undefined || credential.revokedAt !== undefined || record.completedAt !== undefined) return false
  const stage = phase(record)
  return stage === 'delivered' || (stage === 'open' && credential.attempt === record.attempt)
}

/** The same of what has not expired. */
export const holds = (record: TaskRecord, handle: string, now: Instant): boolean =>
  claims(record, handle) && record.credentials.some((c) => c.handle === handle && c.expiresAt > now)

/** What dies by itself so soon is not looked at any more: nobody's clock is that exact. */
const margin: Duration = seconds(30)

/** Whether its source must show it alive: pods hold it, nobody has decided that it dies, and it does not die of age yet. */
export const mustLive = (lease: Lease, { uid, record }: Task, doomed: boolean, now: Instant): boolean =>
  lease.state === 'Issued' &&
  lease.acknowledged === undefined &&
  !doomed &&
  uid === lease.task.uid &&
  phase(record) === 'delivered' &&
  holds(record, lease.handle, plus(now, margin))

/** What is known of the task that a row was written for. */
export type Owner = { readonly state: 'present'; readonly task: Task } | { readonly state: 'gone' } | { readonly state: 'unknown' }

export type Debt =
  /** Nothing to do before that time. `known`: what the row should say by now. */
  | { readonly do: 'wait'; readonly until: Instant | undefined; readonly known: Known | undefined }
  /**
   * `announced`: the row says so before anything is done, since somebody may yet record that pods hold it; once it is dead, its task
   * learns of it from the row and goes on with another.
   */
  | { readonly do: 'revoke'; readonly announced?: true }
  /** An administrator gave it up. */
  | { readonly do: 'giveUp'; readonly reason: string }
  /** Its task must be asked for at the API server before anything is decided. */
  | { readonly do: 'ask' }
  /** The tombstone has served. */
  | { readonly do: 'forget' }

export interface Known {
  readonly issuedAt: Instant
  readonly expiresAt: Instant
}

/** @param doomed whether a pass of this process has decided that it dies, which the record may not say yet */
export function owed(lease: Lease, owner: Owner, doomed: boolean, now: Instant): Debt {
  switch (lease.state) {
    case 'Revoked':
    case 'Expired':
    case 'Irrevocable':
      return buried(lease, owner, now)
    case 'Intended':
    case 'Issued':
    case 'Revoking':
      if (lease.acknowledged !== undefined) return { do: 'giveUp', reason: lease.acknowledged }
      if (doomed || lease.state === 'Revoking' || owner.state === 'gone') return { do: 'revoke' }
      return owner.state === 'unknown' ? { do: 'ask' } : alive(lease, owner.task, now)
    default:
      return unreachable(lease.state)
  }
}

function buried(lease: Lease, owner: Owner, now: Instant): Debt {
  const until = plus(lease.closedAt ?? lease.createdAt, tombstoneTime)
  if (now < until) return { do: 'wait', until, known: undefined }
  if (owner.state === 'unknown') return { do: 'ask' }
  // it stays while its task may count attempts: looked at again when the task goes
  return owner.state === 'gone' ? { do: 'forget' } : { do: 'wait', until: undefined, known: undefined }
}

function alive(lease: Lease, { uid, record }: Task, now: Instant): Debt {
  if (uid !== lease.task.uid) return { do: 'revoke' }
  if (!holds(record, lease.handle, now)) {
    const patience = plus(lease.effectBy, overtaking)
    // a task that is over counts no further
    const ahead = lease.attempt > record.attempt && record.completedAt === undefined
    if (ahead && now < patience) return { do: 'wait', until: patience, known: undefined }
    // a record that was not seen yet, or a renewal under way
    return ahead || claims(record, lease.handle) ? { do: 'revoke', announced: true } : { do: 'revoke' }
  }
  const held = record.credentials.find((c) => c.handle === lease.handle)
  if (held === undefined || phase(record) !== 'delivered') return { do: 'wait', until: earliest(held?.expiresAt), known: undefined }
  const told = lease.state === 'Issued' && lease.expiresAt === held.expiresAt
  return {
    do: 'wait',
    until: held.expiresAt,
    known: told ? undefined : { issuedAt: lease.issuedAt ?? held.issuedAt, expiresAt: held.expiresAt },
  }
}
