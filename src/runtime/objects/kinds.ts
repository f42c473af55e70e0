// The other kinds as flat records: no more of an object than a decision reads.

import { asUid, providerKey, secretName, type Uid } from '../../core/names.ts'
import type { AfterLoss } from '../../core/observed.ts'
import { at, type Instant, parseTime } from '../../lib/instant.ts'
import type { Home } from '../../ports/handed.ts'
import { type Fields, list, number, record, strings, text, words } from './fields.ts'

/** What every record has. */
export interface Known {
  readonly namespace: string
  readonly name: string
  readonly uid: Uid
  readonly createdAt: Instant
  readonly deleting: boolean
}

export interface Agent extends Known {
  readonly serviceAccount: string
  readonly owner: string | undefined
  readonly attributes: Readonly<Record<string, string>>
  readonly suspended: boolean
}

export interface Namespace extends Known {
  /** labels under `policy.taskbound.dev/`, the prefix taken off */
  readonly policyLabels: Readonly<Record<string, string>>
  readonly labels: Readonly<Record<string, string>>
}

export interface Pod extends Known {
  /** value of the label `taskbound.dev/task` */
  readonly task: string
  readonly finished: 'Succeeded' | 'Failed' | undefined
  /** It has begun, which it could not have without a Secret of the name that its task's has. */
  readonly givenSecret: boolean
}

export interface Workload extends Known {
  readonly finished: 'Succeeded' | 'Failed' | undefined
}

export interface PolicyObject extends Known {
  readonly generation: number
  readonly resourceVersion: string
  readonly cedar: string
  readonly mode: 'Enforce' | 'Audit'
  readonly inForce: { readonly generation: number; readonly digest: string; readonly text: string } | undefined
  readonly status: Fields
}

export interface ProviderObject extends Known {
  readonly kind: 'ClusterCredentialProvider' | 'CredentialProvider'
  /** what it is called wherever one word has to do, and in the stores */
  readonly key: string
  readonly generation: number
  readonly resourceVersion: string
  readonly type: string
  readonly params: Fields
  readonly labels: Readonly<Record<string, string>>
  readonly sensitivity: string | undefined
  readonly destinations: readonly string[]
  readonly namespaces: Selector | undefined
  /** what follows where somebody else ends a credential at its source */
  readonly onExternalRevocation: AfterLoss
  readonly ready: { readonly status: string; readonly message: string; readonly generation: number } | undefined
  readonly status: Fields
}

/** `metav1.LabelSelector`. */
export interface Selector {
  readonly matchLabels: Readonly<Record<string, string>>
  readonly matchExpressions: readonly { readonly key: string; readonly operator: string; readonly values: readonly string[] }[]
}

const policyPrefix = 'policy.taskbound.dev/'

/** `undefined` for what has no name or UID. */
export function readKnown(object: unknown): Known | undefined {
  const metadata = record(record(object)['metadata'])
  const [name, uid] = [text(metadata['name']), text(metadata['uid'])]
  if (name === undefined || uid === undefined) return undefined
  return {
    namespace: text(metadata['namespace']) ?? '',
    name,
    uid: asUid(uid),
    createdAt: parseTime(text(metadata['creationTimestamp'])) ?? at(0),
    deleting: metadata['deletionTimestamp'] !== undefined,
  }
}

const metadataOf = (object: unknown): Fields => record(record(object)['metadata'])
const specOf = (object: unknown): Fields => record(record(object)['spec'])
const statusOf = (object: unknown): Fields => record(record(object)['status'])

export function readAgent(object: unknown): Agent | undefined {
  const known = readKnown(object)
  const spec = specOf(object)
  const serviceAccount = text(spec['serviceAccountName'])
  if (known === undefined || serviceAccount === undefined) return undefined
  return {
    ...known,
    serviceAccount,
    owner: text(spec['owner']),
    attributes: words(spec['attributes']),
    suspended: spec['suspended'] === true,
  }
}

export function readNamespace(object: unknown): Namespace | undefined {
  const known = readKnown(object)
  if (known === undefined) return undefined
  const labels = words(metadataOf(object)['labels'])
  const own = Object.entries(labels).flatMap(([key, value]) =>
    key.startsWith(policyPrefix) ? [[key.slice(policyPrefix.length), value]] : [],
  )
  return { ...known, labels, policyLabels: Object.fromEntries(own) }
}

export function readPod(object: unknown): Pod | undefined {
  const known = readKnown(object)
  const task = text(record(metadataOf(object)['labels'])['taskbound.dev/task'])
  if (known === undefined || task === undefined) return undefined
  return { ...known, task, finished: phaseOf(object), givenSecret: hasBegun(object) && needsSecret(object, secretName(task)) }
}

/** A kubelet starts no container of a pod, not even the first init container, before it has every volume of it. */
function hasBegun(pod: unknown): boolean {
  const status = statusOf(pod)
  const states = [...list(status['initContainerStatuses']), ...list(status['containerStatuses'])].map((one) => record(record(one)['state']))
  return states.some((state) => state['running'] !== undefined || state['terminated'] !== undefined)
}

function needsSecret(pod: unknown, name: string): boolean {
  const named = (source: unknown, key: string): boolean => record(source)[key] === name && record(source)['optional'] !== true
  return list(specOf(pod)['volumes']).some((volume) => {
    const { secret, projected } = record(volume)
    const sources = list(record(projected)['sources']).map((source) => record(source)['secret'])
    return named(secret, 'secretName') || sources.some((source) => named(source, 'name'))
  })
}

function phaseOf(object: unknown): Workload['finished'] {
  const phase = text(statusOf(object)['phase'])
  return phase === 'Succeeded' || phase === 'Failed' ? phase : undefined
}

/** A Job is over at its first sure sign, not when its last pod is gone: an agent that ignores SIGTERM keeps no credentials. */
export function readJob(object: unknown): Workload | undefined {
  return readByConditions(object, { succeeded: ['SuccessCriteriaMet', 'Complete'], failed: ['FailureTarget', 'Failed'] })
}

/** Any other kind, by the conditions that such kinds use; `Succeeded=False` is an end only with a reason that is final. */
export function readOther(object: unknown): Workload | undefined {
  return readByConditions(object, { succeeded: ['Complete', 'Completed', 'Succeeded', 'Finished'], failed: ['Failed'] })
}

function readByConditions(
  object: unknown,
  wanted: { readonly succeeded: readonly string[]; readonly failed: readonly string[] },
): Workload | undefined {
  const known = readKnown(object)
  if (known === undefined) return undefined
  let finished: Workload['finished']
  for (const value of list(statusOf(object)['conditions'])) {
    const condition = record(value)
    const [type, status] = [text(condition['type']) ?? '', text(condition['status'])]
    if (status === 'True' && wanted.failed.includes(type)) finished = 'Failed'
    if (status === 'True' && wanted.succeeded.includes(type)) finished ??= 'Succeeded'
    if (status === 'False' && type === 'Succeeded' && wanted.succeeded.includes(type) && isFinal(text(condition['reason'])))
      finished = 'Failed'
  }
  return { ...known, finished }
}

/** Reasons with which a `Succeeded=False` still goes on say so; everything else is an end. */
const ongoing = ['Running', 'Started', 'Pending', 'Unknown', 'InProgress', 'Progressing', 'Waiting', 'Retrying']
const isFinal = (reason: string | undefined): boolean => reason !== undefined && reason !== '' && !ongoing.includes(reason)

export function readPolicy(object: unknown): PolicyObject | undefined {
  const known = readKnown(object)
  const [metadata, spec, status] = [metadataOf(object), specOf(object), statusOf(object)]
  const [cedar, resourceVersion] = [text(spec['cedar']), text(metadata['resourceVersion'])]
  if (known === undefined || cedar === undefined || resourceVersion === undefined) return undefined
  const inForce = record(status['inForce'])
  const [generation, digest, held] = [number(inForce['generation']), text(inForce['digest']), text(inForce['text'])]
  return {
    ...known,
    generation: number(metadata['generation']) ?? 0,
    resourceVersion,
    cedar,
    mode: spec['mode'] === 'Audit' ? 'Audit' : 'Enforce',
    inForce: generation === undefined || digest === undefined || held === undefined ? undefined : { generation, digest, text: held },
    status,
  }
}

export const readProvider = (object: unknown): ProviderObject | undefined => providerOf('ClusterCredentialProvider', object)

/** One of a namespace: it opens no addresses and serves nobody else, whatever it says. */
export function readNamespaceProvider(object: unknown): ProviderObject | undefined {
  const found = providerOf('CredentialProvider', object)
  if (found === undefined) return undefined
  const { allowedAddresses: _, ...params } = found.params
  return { ...found, namespaces: undefined, params: { ...params, home: { namespace: found.namespace, name: found.name } satisfies Home } }
}

function providerOf(kind: ProviderObject['kind'], object: unknown): ProviderObject | undefined {
  const known = readKnown(object)
  const [metadata, spec, status] = [metadataOf(object), specOf(object), statusOf(object)]
  const [type, resourceVersion] = [text(spec['type']), text(metadata['resourceVersion'])]
  if (known === undefined || type === undefined || resourceVersion === undefined) return undefined
  const ready = list(status['conditions'])
    .map(record)
    .find((c) => c['type'] === 'Ready')
  return {
    ...known,
    kind,
    key: providerKey({ kind, name: known.name }, known.namespace),
    generation: number(metadata['generation']) ?? 0,
    resourceVersion,
    type,
    // what holds for every source is part of what is kept of one
    params: {
      ...record(spec[type]),
      home: undefined,
      ...(spec['allowedAddresses'] === undefined ? {} : { allowedAddresses: strings(spec['allowedAddresses']) }),
    },
    labels: words(metadata['labels']),
    sensitivity: text(spec['sensitivity']),
    destinations: strings(spec['destinations']),
    onExternalRevocation: spec['onExternalRevocation'] === 'Reissue' ? 'Reissue' : 'Fail',
    namespaces: spec['namespaces'] === undefined ? undefined : readSelector(record(spec['namespaces'])),
    ready:
      ready === undefined
        ? undefined
        : {
            status: text(ready['status']) ?? 'Unknown',
            message: text(ready['message']) ?? '',
            generation: number(ready['observedGeneration']) ?? 0,
          },
    status,
  }
}

function readSelector(selector: Fields): Selector {
  return {
    matchLabels: words(selector['matchLabels']),
    matchExpressions: list(selector['matchExpressions']).map((value) => {
      const expression = record(value)
      return { key: text(expression['key']) ?? '', operator: text(expression['operator']) ?? '', values: strings(expression['values']) }
    }),
  }
}

/** Whether labels match. An absent or empty selector matches nobody here; an unknown operator matches nothing. */
export function selects(selector: Selector | undefined, labels: Readonly<Record<string, string>>): boolean {
  if (selector === undefined) return false
  const wanted = Object.entries(selector.matchLabels)
  if (wanted.length === 0 && selector.matchExpressions.length === 0) return false
  return (
    wanted.every(([key, value]) => labels[key] === value) &&
    selector.matchExpressions.every(({ key, operator, values }) => {
      const value = labels[key]
      if (operator === 'In') return value !== undefined && values.includes(value)
      if (operator === 'NotIn') return value === undefined || !values.includes(value)
      if (operator === 'Exists') return value !== undefined
      return operator === 'DoesNotExist' && value === undefined
    })
  )
}
