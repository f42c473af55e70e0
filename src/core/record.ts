// What the record alone says about a task's credentials.

import { at, endless, type Instant } from '../lib/instant.ts'
import type { CredentialRecord, TaskRecord } from './observed.ts'

/**
 * `none`: nothing was made, or its Secret is known to be gone. `open`: an intent is recorded and its Secret write is not
 * confirmed, so something may exist. `delivered`: the Secret holds these credentials.
 */
export type Phase = 'none' | 'open' | 'delivered'

export function phase(record: TaskRecord): Phase {
  if (record.attempt === record.withdrawnAttempt) return 'none'
  return record.secret?.attempt === record.attempt ? 'delivered' : 'open'
}

/** Neither revoked nor expired: whoever has it can use it. */
export const works = (credential: CredentialRecord, now: Instant): boolean =>
  credential.revokedAt === undefined && credential.expiresAt > now

/** Not known to be dead. Outside the cluster an expiry proves nothing: what was opened before it, such as a session, may live on. */
export const isAlive = (credential: CredentialRecord, now: Instant): boolean =>
  works(credential, now) || (credential.handle !== undefined && credential.revokedAt === undefined)

/** Whether pods hold credentials that work: delivered, and none of them dead. */
export const isLive = (record: TaskRecord, now: Instant): boolean =>
  phase(record) === 'delivered' && record.credentials.every((c) => works(c, now))

/** Whether its Secret write was ever confirmed, also where later attempts were spent since. */
export const wasDelivered = ({ secret }: TaskRecord, credential: CredentialRecord): boolean =>
  secret !== undefined && secret.attempt >= credential.attempt

/** Whether the last set died of age, not of a stop: the next one is then a renewal, and policy is asked for `renew`. */
export function diedOfAge(record: TaskRecord, now: Instant): boolean {
  const withdrawn = phase(record) === 'none'
  return record.credentials.some((c) => expired(c) && c.expiresAt <= now && (withdrawn || wasDelivered(record, c)))
}

/** Of age, not of a stop. Outside the cluster it is revoked then as well; what a stop took away before has no renewal any more. */
function expired({ handle, renewAt, revokedAt, expiresAt }: CredentialRecord): boolean {
  if (handle === undefined) return revokedAt === undefined
  return renewAt !== undefined && (revokedAt === undefined || revokedAt >= expiresAt)
}

/** A value that was there before its task: it works until somebody changes it, and no time is known. */
export const lasts = ({ revocation }: Pick<CredentialRecord, 'revocation'>): boolean => revocation.bound >= endless

/**
 * When the last of what cannot be revoked at its source dies by itself, if that is still to come. What is outside the cluster has a row that
 * knows it better, and is open until then.
 */
export function lastExpiry(record: TaskRecord, now: Instant): Instant | undefined {
  const unrevocable = record.credentials.filter((c) => c.revocation.class === 'ExpireOnly' && c.handle === undefined)
  const times = unrevocable.map((c) => dies(record, c))
  const latest = Math.max(...times)
  return latest > now ? at(latest) : undefined
}

/** The latest that it can die: once a renewal was due, one may have been delivered whose record was lost. */
function dies({ deadlineAt }: TaskRecord, { issuedAt, expiresAt, renewAt, revokedAt }: CredentialRecord): Instant {
  const until = revokedAt ?? expiresAt
  if (renewAt === undefined || until < renewAt) return expiresAt
  const renewed = until + (expiresAt - issuedAt)
  return at(Math.max(expiresAt, deadlineAt === undefined ? renewed : Math.min(renewed, deadlineAt)))
}

/**
 * The places in status lists that read valid because of this record: what the issuer publishes is derived from it. What was withdrawn
 * has none, also where its record says that it had expired: a renewal whose record was lost may have lived on.
 */
export function liveStatusRefs(record: TaskRecord): readonly { readonly uri: string; readonly index: number }[] {
  if (record.completedAt !== undefined || phase(record) === 'none') return []
  return record.credentials.flatMap((c) => (c.revokedAt === undefined && c.statusList !== undefined ? [c.statusList] : []))
}
