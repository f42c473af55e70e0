// Any input of the core, whether or not a replica could ever see it: records in every phase, facts in every state, answers of every kind.

import fc from 'fast-check'
import type { Lease } from '../../../src/core/lease.ts'
import { asUid } from '../../../src/core/names.ts'
import type {
  CredentialFacts,
  CredentialRecord,
  Decision,
  LeaseFacts,
  Observed,
  TaskRecord,
  WorkloadFacts,
} from '../../../src/core/observed.ts'
import { seconds } from '../../../src/lib/instant.ts'
import {
  begun,
  makeCredential,
  makeCredentialRecord,
  makeDecision,
  makeFacts,
  makeLease,
  makeObserved,
  makeProvider,
  makeTask,
  presentAgent,
  runningJob,
  time,
  uids,
} from '../make.ts'

const rarely = <T>(usual: T, ...others: readonly T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 14, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...others) })

const decision: fc.Arbitrary<Decision> = fc
  .record({
    outcome: fc.oneof(
      { weight: 5, arbitrary: fc.constant<Decision['outcome']>('allow') },
      { weight: 1, arbitrary: fc.constantFrom<Decision['outcome'][]>('forbid', 'noPermit', 'error', 'invalidPolicy') },
    ),
    readsNow: rarely(false, true),
    permitted: fc.boolean(),
    ids: fc.uniqueArray(fc.constantFrom('p1', 'p2', 'p3'), { maxLength: 3 }),
  })
  .map(({ outcome, readsNow, permitted, ids }) =>
    makeDecision(outcome, {
      readsNow,
      permitted: outcome === 'allow' || (outcome === 'invalidPolicy' && permitted),
      policies: outcome === 'allow' || outcome === 'forbid' ? ids.map((id) => ({ id, message: undefined })) : [],
    }),
  )

const facts = (name: string): fc.Arbitrary<CredentialFacts> =>
  fc
    .record({
      class: fc.constantFrom('Checked' as const, 'ExpireOnly' as const, 'Immediate' as const),
      state: rarely<'well' | 'absent' | 'not ready' | 'refuses'>('well', 'absent', 'not ready', 'refuses'),
      leastLife: fc.constantFrom(0, 1, 400),
      maxTtl: fc.constantFrom(300, 3600),
      issue: rarely(true, false),
      answer: decision,
      renewal: decision,
    })
    .map(({ class: kind, state, leastLife, maxTtl, issue, answer, renewal }) =>
      makeFacts({
        name,
        issue: issue ? answer : undefined,
        renew: renewal,
        provider:
          state === 'absent'
            ? { state: 'absent' }
            : makeProvider({
                revocation: { class: kind, bound: seconds(15) },
                leastLife: seconds(leastLife),
                maxTtl: seconds(maxTtl),
                notReady: state === 'not ready' ? 'sealed' : undefined,
                refusal: state === 'refuses' ? { reason: 'ScopeNotListed', message: 'not listed' } : undefined,
              }),
      }),
    )

const credentialRecord = (name: string): fc.Arbitrary<CredentialRecord> =>
  fc
    .record({
      issued: fc.integer({ min: 0, max: 600 }),
      life: fc.integer({ min: 2, max: 900 }),
      renewed: fc.boolean(),
      revoked: rarely(false, true),
      class: fc.constantFrom('Checked' as const, 'ExpireOnly' as const, 'Immediate' as const),
    })
    .map(({ issued, life, renewed, revoked, class: kind }) =>
      makeCredentialRecord({
        name,
        issuedAt: time(issued),
        expiresAt: time(issued + life),
        renewAt: renewed ? time(issued + Math.ceil(life / 2)) : undefined,
        revokedAt: revoked ? time(issued + 1) : undefined,
        revocation: { class: kind, bound: seconds(15) },
        statusList: kind === 'Checked' ? { uri: 'list', index: issued } : undefined,
        handle: kind === 'Immediate' ? handleIn(name, 1) : undefined,
      }),
    )

/** As in the runtime it follows from task, credential and attempt. */
export const handleIn = (credential: string, attempt: number): string => `handle of ${credential} ${attempt}`

/** A row of a credential: there with what became of it, or not seen yet. */
const row = (credential: string, attempt: number): fc.Arbitrary<readonly LeaseFacts[]> =>
  rarely<'open' | 'expiring' | 'absent' | 'dead' | 'given up'>('open', 'expiring', 'absent', 'dead', 'given up').map((state) =>
    state === 'absent'
      ? []
      : [
          {
            handle: handleIn(credential, attempt),
            credential,
            attempt,
            open: state === 'open' || state === 'expiring',
            dead: state === 'dead',
            ...(state === 'expiring' ? { expiring: true } : {}),
            message: state === 'given up' ? 'no such server' : undefined,
          },
        ],
  )

/** The rows of what a record names, and sometimes one that it does not know any more or not yet. */
function rows({ credentials }: TaskRecord): fc.Arbitrary<readonly LeaseFacts[]> {
  const named = credentials.filter((c) => c.handle !== undefined).map((c) => row(c.name, c.attempt))
  const other = fc.oneof({ weight: 4, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: fc.nat(4).chain((n) => row('other', n)) })
  return fc.tuple(other, ...named).map((all) => all.flat())
}

/** Any row, of this task or another, in every state. */
export const anyLease: fc.Arbitrary<Lease> = fc
  .record({
    name: fc.constantFrom('a', 'b', 'other'),
    attempt: fc.nat(3),
    state: fc.constantFrom<Lease['state'][]>('Intended', 'Issued', 'Revoking', 'Revoked', 'Expired', 'Irrevocable'),
    made: fc.integer({ min: -100, max: 600 }),
    lived: fc.option(fc.nat(600), { nil: undefined }),
    uid: rarely(uids.task, asUid('task-2')),
    acknowledged: rarely<string | undefined>(undefined, 'no such server'),
  })
  .map(({ name, attempt, state, made, lived, uid, acknowledged }) => {
    const closed = state === 'Revoked' || state === 'Expired' || state === 'Irrevocable'
    return makeLease({
      handle: handleIn(name, attempt),
      credential: name,
      attempt,
      state,
      createdAt: time(made),
      closedAt: closed && lived !== undefined ? time(made + lived) : undefined,
      task: { ...makeLease().task, uid },
      acknowledged,
    })
  })

function record(names: readonly string[]): fc.Arbitrary<TaskRecord> {
  return fc
    .record({
      phase: fc.constantFrom('new', 'begun', 'open', 'reopened', 'live', 'live', 'live', 'withdrawn'),
      over: rarely(false, true),
      seen: rarely(true, false),
      credentials: fc.tuple(...names.map(credentialRecord)),
    })
    .map(({ phase, over, seen, credentials }) => {
      const bound = { agent: uids.agent, serviceAccount: uids.serviceAccount, workload: seen ? uids.workload : undefined }
      const secret = { name: 'taskbound-close', uid: uids.secret, attempt: 1 }
      const issued = { requestDigest: 'sha256:request', credentials }
      const base = begun({ bound, ...(over ? { completedAt: time(500), completion: 'EndCancelled' as const } : {}) })
      switch (phase) {
        case 'new':
          return over ? base : begun({ bound: { agent: undefined, serviceAccount: undefined, workload: undefined } })
        case 'begun':
          return base
        case 'open':
          return { ...base, ...issued, attempt: 1 }
        case 'reopened':
          return { ...base, ...issued, attempt: 2, secret, credentials: credentials.map(again) }
        case 'live':
          return { ...base, ...issued, attempt: 1, secret }
        default:
          return { ...base, ...issued, attempt: 1, withdrawnAttempt: 1 }
      }
    })
}

const again = (c: CredentialRecord): CredentialRecord => ({
  ...c,
  attempt: 2,
  handle: c.handle === undefined ? undefined : handleIn(c.name, 2),
})

const workload: fc.Arbitrary<WorkloadFacts> = rarely<WorkloadFacts>(
  runningJob,
  { state: 'absent' },
  { state: 'unknown' },
  { state: 'unwatchable', message: 'no such kind' },
  { ...runningJob, uid: asUid('job-2') },
  { ...runningJob, finished: 'Succeeded' },
  { ...runningJob, deleting: true },
)

export const anyObserved: fc.Arbitrary<Observed> = fc.constantFrom(['a'], ['a', 'b']).chain((names) =>
  fc
    .record({
      record: record(names),
      facts: fc.tuple(...names.map(facts)),
      ttl: fc.constantFrom(300, 600),
      suspend: rarely(false, true),
      end: rarely<'Completed' | undefined>(undefined, 'Completed'),
      keep: fc.constantFrom(undefined, 0, 700),
      deleting: rarely(false, true),
      gone: rarely(false, true),
      namespace: rarely<Observed['namespace']>('active', 'terminating', 'unknown'),
      agent: rarely<Observed['agent']>(
        presentAgent,
        { state: 'absent' },
        { state: 'unknown' },
        { ...presentAgent, suspended: true },
        { ...presentAgent, uid: asUid('agent-2') },
      ),
      account: rarely<Observed['serviceAccount']>(
        { state: 'present', uid: uids.serviceAccount },
        { state: 'absent' },
        { state: 'unknown' },
      ),
      workload,
      olderPod: rarely<string | undefined>(undefined, 'yesterday'),
      changed: fc.integer({ min: -10, max: 1000 }),
      pending: rarely(false, true),
      hold: rarely<Observed['hold']>(undefined, { reason: 'FencesMissing', message: 'missing' }),
    })
    .chain((o) => rows(o.record).map((leases) => ({ ...o, leases })))
    .map((o) =>
      makeObserved({
        task: makeTask({
          record: o.record,
          deleting: o.deleting,
          gone: o.gone,
          createdAt: time(-60),
          spec: {
            credentials: names.map((name) => makeCredential({ name, ttl: seconds(o.ttl) })),
            suspend: o.suspend,
            end: o.end,
            ttlAfterFinished: o.keep === undefined ? undefined : seconds(o.keep),
          },
        }),
        credentials: o.facts,
        leases: o.leases,
        namespace: o.namespace,
        agent: o.agent,
        serviceAccount: o.account,
        workload: o.workload,
        olderPod: o.olderPod,
        policyChangedAt: time(o.changed),
        policyPending: o.pending,
        hold: o.hold,
      }),
    ),
)
