// AgentTask between the wire and the core: what came in as flat records, what goes out as status. Unknown or odd values deny by
// being left out; nothing here decides.

import type { Reason } from '../../api/reasons.ts'
import { asUid, toTaskKey } from '../../core/names.ts'
import type {
  Condition,
  ConditionType,
  CredentialRecord,
  CredentialSpec,
  Report,
  RevocationClass,
  Task,
  TaskRecord,
  TaskSpec,
} from '../../core/observed.ts'
import { at, formatTime, type Instant, parseTime, seconds, toSeconds } from '../../lib/instant.ts'
import { type Fields, record as fields, list, number, strings, text, words } from './fields.ts'

/** `undefined` for what cannot be an AgentTask. */
export function readTask(object: unknown): Task | undefined {
  const root = fields(object)
  const metadata = fields(root['metadata'])
  const [namespace, name, uid] = [text(metadata['namespace']), text(metadata['name']), text(metadata['uid'])]
  if (namespace === undefined || name === undefined || uid === undefined) return undefined
  const status = fields(root['status'])
  return {
    key: toTaskKey(namespace, name),
    namespace,
    name,
    uid: asUid(uid),
    generation: number(metadata['generation']) ?? 0,
    createdAt: parseTime(text(metadata['creationTimestamp'])) ?? at(0),
    deleting: metadata['deletionTimestamp'] !== undefined,
    deletedAt: parseTime(text(metadata['deletionTimestamp'])),
    gone: false,
    spec: readSpec(fields(root['spec'])),
    record: readRecord(status),
    report: readReport(status),
  }
}

function readSpec(spec: Fields): TaskSpec {
  const context = fields(spec['context'])
  const workload = fields(spec['workloadRef'])
  const by = fields(spec['requestedBy'])
  const username = text(by['username'])
  const end = text(spec['end'])
  const ttlAfter = number(spec['ttlSecondsAfterFinished'])
  return {
    agent: text(fields(spec['agentRef'])['name']) ?? '',
    action: text(spec['action']) ?? '',
    purpose: text(spec['purpose']),
    dataSensitivity: text(context['dataSensitivity']),
    destinations: strings(context['destinations']),
    tools: strings(context['tools']),
    attributes: words(context['attributes']),
    credentials: list(spec['credentials']).map(readCredentialSpec),
    workload:
      spec['workloadRef'] === undefined
        ? undefined
        : { apiVersion: text(workload['apiVersion']) ?? '', kind: text(workload['kind']) ?? '', name: text(workload['name']) ?? '' },
    startingDeadline: seconds(number(spec['startingDeadlineSeconds']) ?? 600),
    activeDeadline: seconds(number(spec['activeDeadlineSeconds']) ?? 3600),
    ttlAfterFinished: ttlAfter === undefined ? undefined : seconds(ttlAfter),
    suspend: spec['suspend'] === true,
    end: end === 'Completed' || end === 'Cancelled' ? end : undefined,
    requestedBy:
      username === undefined
        ? undefined
        : { username, uid: text(by['uid']) ?? '', groups: strings(by['groups']), podUid: text(by['podUID']) ?? '' },
  }
}

function readCredentialSpec(value: unknown): CredentialSpec {
  const credential = fields(value)
  const github = fields(credential['github'])
  const provider = fields(credential['providerRef'])
  return {
    name: text(credential['name']) ?? '',
    provider: { kind: text(provider['kind']) ?? '', name: text(provider['name']) ?? '' },
    audience: text(credential['audience']),
    scopes: strings(credential['scopes']),
    ...(credential['github'] === undefined
      ? {}
      : { github: { repositories: strings(github['repositories']), permissions: words(github['permissions']) } }),
    destination: text(credential['destination']),
    ttl: seconds(number(credential['ttlSeconds']) ?? 600),
    keys: words(credential['keys']),
  }
}

function readRecord(status: Fields): TaskRecord {
  const bound = fields(status['bound'])
  const secret = fields(status['secret'])
  const [secretName, secretUid] = [text(secret['name']), text(secret['uid'])]
  const uid = (value: unknown) => (text(value) === undefined ? undefined : asUid(text(value) ?? ''))
  return {
    bound: { agent: uid(bound['agentUID']), serviceAccount: uid(bound['serviceAccountUID']), workload: uid(bound['workloadUID']) },
    startedAt: time(status['startTime']),
    deadlineAt: time(status['deadlineTime']),
    completedAt: time(status['completionTime']),
    completion: text(status['completionReason']) as Reason | undefined,
    requestDigest: text(status['requestDigest']),
    attempt: number(status['attempt']) ?? 0,
    secret:
      secretName === undefined || secretUid === undefined
        ? undefined
        : { name: secretName, uid: asUid(secretUid), attempt: number(secret['attempt']) ?? 0 },
    withdrawnAttempt: number(status['withdrawnAttempt']) ?? 0,
    credentials: list(status['credentials']).map(readCredential),
  }
}

function readCredential(value: unknown): CredentialRecord {
  const credential = fields(value)
  const provider = fields(credential['provider'])
  const ref = fields(credential['statusList'])
  const [uri, index] = [text(ref['uri']), number(ref['index'])]
  const revocation = fields(credential['revocation'])
  return {
    name: text(credential['name']) ?? '',
    provider: {
      kind: text(provider['kind']) ?? '',
      name: text(provider['name']) ?? '',
      uid: asUid(text(provider['uid']) ?? ''),
      type: text(provider['type']) ?? '',
    },
    attempt: number(credential['attempt']) ?? 0,
    statusList: uri === undefined || index === undefined ? undefined : { uri, index },
    handle: text(credential['handle']),
    issuedAt: time(credential['issueTime']) ?? at(0),
    expiresAt: time(credential['expirationTime']) ?? at(0),
    renewAt: time(credential['renewTime']),
    revocation: {
      class: (text(revocation['class']) ?? 'ExpireOnly') as RevocationClass,
      bound: seconds(number(revocation['boundSeconds']) ?? 0),
    },
    revokedAt: time(credential['revocationTime']),
  }
}

function readReport(status: Fields): Report {
  const decision = fields(status['decision'])
  const reason = text(decision['reason'])
  return {
    observedGeneration: number(status['observedGeneration']) ?? 0,
    conditions: list(status['conditions']).map((value): Condition => {
      const condition = fields(value)
      return {
        type: (text(condition['type']) ?? '') as ConditionType,
        status: (text(condition['status']) ?? 'Unknown') as Condition['status'],
        reason: (text(condition['reason']) ?? '') as Reason,
        message: text(condition['message']) ?? '',
        observedGeneration: number(condition['observedGeneration']) ?? 0,
        lastTransitionTime: time(condition['lastTransitionTime']) ?? at(0),
      }
    }),
    decision:
      reason === undefined
        ? undefined
        : {
            allowed: decision['allowed'] === true,
            reason: reason as Reason,
            policies: strings(decision['policies']),
            digest: text(decision['digest']) ?? '',
            time: time(decision['time']) ?? at(0),
          },
    expiresAt: time(status['expirationTime']),
  }
}

/** The whole status as it is to stand; members that are `undefined` are to be absent. */
export function writeStatus(record: TaskRecord, report: Report): Fields {
  return {
    observedGeneration: report.observedGeneration,
    conditions: report.conditions.map((c) => ({ ...c, lastTransitionTime: formatTime(c.lastTransitionTime) })),
    ...writeRecord(record),
    expirationTime: optionalTime(report.expiresAt),
    decision: report.decision === undefined ? undefined : { ...report.decision, time: formatTime(report.decision.time) },
  }
}

/** The record's part of status alone: what an intent writes. */
export function writeRecord(record: TaskRecord): Fields {
  return {
    bound: { agentUID: record.bound.agent, serviceAccountUID: record.bound.serviceAccount, workloadUID: record.bound.workload },
    startTime: optionalTime(record.startedAt),
    deadlineTime: optionalTime(record.deadlineAt),
    completionTime: optionalTime(record.completedAt),
    completionReason: record.completion,
    requestDigest: record.requestDigest,
    attempt: record.attempt,
    secret: record.secret,
    withdrawnAttempt: record.withdrawnAttempt,
    credentials: record.credentials.map((c) => ({
      name: c.name,
      provider: c.provider,
      attempt: c.attempt,
      statusList: c.statusList,
      handle: c.handle,
      issueTime: formatTime(c.issuedAt),
      expirationTime: formatTime(c.expiresAt),
      renewTime: optionalTime(c.renewAt),
      revocation: { class: c.revocation.class, boundSeconds: toSeconds(c.revocation.bound) },
      revocationTime: optionalTime(c.revokedAt),
    })),
  }
}

const time = (value: unknown): Instant | undefined => parseTime(text(value))
const optionalTime = (value: Instant | undefined): string | undefined => (value === undefined ? undefined : formatTime(value))
