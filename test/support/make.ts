// Builds what the core works on: tasks, records and what is observed of them. Everything has a plain default: a Job's task of one
// minute ago's shape that is allowed; a test says only what differs. Times are counted from `t0`.

import type { Lease } from '../../src/core/lease.ts'
import { asUid, toTaskKey } from '../../src/core/names.ts'
import {
  type CredentialFacts,
  type CredentialProviderFacts,
  type CredentialRecord,
  type CredentialSpec,
  type Decision,
  emptyRecord,
  emptyReport,
  type LeaseFacts,
  type Observed,
  type Task,
  type TaskRecord,
  type TaskSpec,
} from '../../src/core/observed.ts'
import { at, type Instant, plus, seconds } from '../../src/lib/instant.ts'

export const t0: Instant = at(Date.parse('2026-11-02T09:00:00Z'))
/** `t0` plus so many seconds. */
export const time = (count: number): Instant => plus(t0, seconds(count))

export const uids = {
  task: asUid('task-1'),
  agent: asUid('agent-1'),
  serviceAccount: asUid('account-1'),
  workload: asUid('job-1'),
  provider: asUid('provider-1'),
  secret: asUid('secret-1'),
} as const

export type PresentProvider = Extract<CredentialProviderFacts, { state: 'present' }>
export type PresentWorkload = Extract<Observed['workload'], { state: 'present' }>

export function makeCredential(over: Partial<CredentialSpec> = {}): CredentialSpec {
  return {
    name: 'api',
    provider: { kind: 'ClusterCredentialProvider', name: 'corp' },
    audience: 'https://api.corp.example',
    scopes: ['read'],
    destination: undefined,
    ttl: seconds(600),
    keys: {},
    ...over,
  }
}

/** 600 s to live, an hour for the task, ten minutes for its Job to appear. */
export function makeSpec(over: Partial<TaskSpec> = {}): TaskSpec {
  return {
    agent: 'clerk',
    action: 'payroll.reconcile',
    purpose: undefined,
    dataSensitivity: undefined,
    destinations: [],
    tools: [],
    attributes: {},
    credentials: [makeCredential()],
    workload: { apiVersion: 'batch/v1', kind: 'Job', name: 'books' },
    startingDeadline: seconds(600),
    activeDeadline: seconds(3600),
    ttlAfterFinished: undefined,
    suspend: false,
    end: undefined,
    requestedBy: undefined,
    ...over,
  }
}

export function makeTask({ spec, ...over }: Partial<Omit<Task, 'spec'>> & { readonly spec?: Partial<TaskSpec> } = {}): Task {
  return {
    key: toTaskKey('finance', 'close'),
    namespace: 'finance',
    name: 'close',
    uid: uids.task,
    generation: 1,
    createdAt: t0,
    deleting: false,
    gone: false,
    record: emptyRecord,
    report: emptyReport,
    ...over,
    spec: makeSpec(spec),
  }
}

export function makeDecision(outcome: Decision['outcome'] = 'allow', over: Partial<Decision> = {}): Decision {
  const named = outcome === 'allow' || outcome === 'forbid'
  return {
    outcome,
    policies: named ? [{ id: `ClusterAgentPolicy/base/${outcome}`, message: undefined }] : [],
    errors: outcome === 'error' || outcome === 'invalidPolicy' ? [`\`base\`: ${outcome}`] : [],
    digest: 'sha256:policies',
    readsNow: false,
    permitted: outcome === 'allow',
    ...over,
  }
}

export function makeProvider(over: Partial<PresentProvider> = {}): PresentProvider {
  return {
    state: 'present',
    uid: uids.provider,
    type: 'jwt',
    notReady: undefined,
    refusal: undefined,
    revocation: { class: 'Checked', bound: seconds(15) },
    leastLife: seconds(0),
    maxTtl: seconds(3600),
    ...over,
  }
}

export function makeFacts(over: Partial<CredentialFacts> = {}): CredentialFacts {
  return { name: 'api', provider: makeProvider(), issue: makeDecision(), renew: makeDecision(), ...over }
}

export const runningJob: PresentWorkload = { state: 'present', uid: uids.workload, deleting: false, finished: undefined }
export const presentAgent: Extract<Observed['agent'], { state: 'present' }> = {
  state: 'present',
  uid: uids.agent,
  suspended: false,
  serviceAccount: 'clerk',
}

/** All there, all allowed, nothing issued yet. */
export function makeObserved({ task, ...over }: Partial<Omit<Observed, 'task'>> & { readonly task?: Task } = {}): Observed {
  return {
    task: task ?? makeTask(),
    namespace: 'active',
    agent: presentAgent,
    serviceAccount: { state: 'present', uid: uids.serviceAccount },
    workload: runningJob,
    olderPod: undefined,
    credentials: [makeFacts()],
    leases: [],
    policyChangedAt: time(-3600),
    policyPending: false,
    hold: undefined,
    draining: false,
    requesterUnknown: undefined,
    limits: { maxActiveDeadline: seconds(86_400), policySettle: seconds(5), rejudge: seconds(60) },
    ...over,
  }
}

export function makeCredentialRecord(over: Partial<CredentialRecord> = {}): CredentialRecord {
  return {
    name: 'api',
    provider: { kind: 'ClusterCredentialProvider', name: 'corp', uid: uids.provider, type: 'jwt' },
    attempt: 1,
    statusList: { uri: 'https://issuer.example/status-lists/1', index: 7 },
    handle: undefined,
    issuedAt: t0,
    expiresAt: time(600),
    renewAt: time(400),
    revocation: { class: 'Checked', bound: seconds(15) },
    revokedAt: undefined,
    ...over,
  }
}

/** The record of a task that was begun at `t0` and bound to what `makeObserved` shows. */
export function begun(over: Partial<TaskRecord> = {}): TaskRecord {
  return {
    ...emptyRecord,
    bound: { agent: uids.agent, serviceAccount: uids.serviceAccount, workload: uids.workload },
    startedAt: t0,
    deadlineAt: time(3600),
    ...over,
  }
}

/** An intent is recorded, and whether its Secret was written is not known. */
export function open(over: Partial<TaskRecord> = {}): TaskRecord {
  return begun({ requestDigest: 'sha256:request', attempt: 1, credentials: [makeCredentialRecord()], ...over })
}

/** Issued at `t0` and delivered. */
export function live(over: Partial<TaskRecord> = {}): TaskRecord {
  return open({ secret: { name: 'taskbound-close', uid: uids.secret, attempt: 1 }, ...over })
}

/** Withdrawn and revoked at `t0` plus 60 s. */
export function withdrawn(over: Partial<TaskRecord> = {}): TaskRecord {
  return open({ withdrawnAttempt: 1, credentials: [makeCredentialRecord({ revokedAt: time(60) })], ...over })
}

/** The row of a live task's credential outside the cluster, written at `t0`, whose answer is not known yet. */
export function makeLease(over: Partial<Lease> = {}): Lease {
  return {
    handle: 'tb-close-api-1',
    uid: asUid('row-1'),
    resourceVersion: '1',
    createdAt: t0,
    task: { key: toTaskKey('finance', 'close'), namespace: 'finance', name: 'close', uid: uids.task },
    agent: 'clerk',
    action: 'payroll.reconcile',
    credential: 'api',
    attempt: 1,
    provider: { kind: 'ClusterCredentialProvider', name: 'books', uid: uids.provider, type: 'postgres' },
    effectBy: time(30),
    state: 'Intended',
    reference: undefined,
    issuedAt: undefined,
    expiresAt: undefined,
    closedAt: undefined,
    foundDeadAt: undefined,
    reason: undefined,
    message: undefined,
    acknowledged: undefined,
    ...over,
  }
}

/** What the record of a task says of a credential outside the cluster. */
export const outsideRecord = (over: Partial<CredentialRecord> = {}): CredentialRecord =>
  makeCredentialRecord({
    provider: makeLease().provider,
    statusList: undefined,
    handle: makeLease().handle,
    revocation: { class: 'Immediate', bound: seconds(5) },
    ...over,
  })

/** That row as its task sees it: open. */
export const makeRow = (over: Partial<LeaseFacts> = {}): LeaseFacts => ({
  handle: makeLease().handle,
  credential: 'api',
  attempt: 1,
  open: true,
  message: undefined,
  ...over,
})
