// Leader election on a KubeLease, as client-go does it: others' renewals are timed by when we saw them, on our own monotonic clock.
// It does not fence: what a leader sends may arrive after it lost. It only says, at any moment and without waiting, whether we lead.

import { type Duration, milliseconds, seconds } from '../lib/instant.ts'
import type { Clock } from '../ports/clock.ts'
import type { Entropy } from '../ports/entropy.ts'
import type { Log } from '../ports/log.ts'
import type { KubeClient, RequestOptions } from './client.ts'
import { describeError, isNotFound } from './errors.ts'
import { kubeLeases, type LeaseRecord, readLease, writtenLease } from './kubelease.ts'
import { type KubeObject, pathOf } from './objects.ts'
import { realTimers, sleep, type Timers } from './timers.ts'

export interface ElectorDeps {
  readonly client: Pick<KubeClient, 'request'>
  readonly namespace: string
  readonly name: string
  /** unique to this process */
  readonly identity: string
  /** put onto the KubeLease when it is acquired, for example an address */
  readonly annotations?: Readonly<Record<string, string>>
  readonly clock: Clock
  readonly entropy: Pick<Entropy, 'unit'>
  readonly log: Log
  readonly timers?: Timers
  /** Called when we begin to lead. A consistent list must follow before anything is decided. */
  readonly onGained: () => void
  /** Called when we no longer lead, always between two calls of `onGained`. `isLeader` may have said so earlier. */
  readonly onLost: () => void
  /** how long others leave a KubeLease alone after its last renewal; default 15 s */
  readonly leaseDuration?: Duration
  /** how long after a renewal was sent we still believe in it; default 10 s, less than `leaseDuration` */
  readonly renewDeadline?: Duration
  /** default 2 s */
  readonly retryPeriod?: Duration
}

export interface Elector {
  start(): void
  /** Stops leading at once, then gives the KubeLease back so that a successor need not wait. */
  stop(): Promise<void>
  /** Asks the monotonic clock at each call: a process that was paused for longer than the deadline learns it here, synchronously. */
  isLeader(): boolean
  /** `leaseTransitions` of the term that we lead, or of the last one seen; grows with every term, also with one regained. */
  term(): number
  /** Who leads as far as we saw, with the annotations. */
  holder(): { readonly identity: string; readonly annotations: Readonly<Record<string, string>> } | undefined
}

interface Observed {
  readonly object: KubeObject
  readonly record: LeaseRecord
  readonly at: Duration
}

export function createElector(deps: ElectorDeps): Elector {
  const { client, clock, entropy, log, identity, namespace, name } = deps
  const timers = deps.timers ?? realTimers
  const leaseDuration = deps.leaseDuration ?? seconds(15)
  const renewDeadline = deps.renewDeadline ?? seconds(10)
  const retryPeriod = deps.retryPeriod ?? seconds(2)
  const stopping = new AbortController()
  let observed: Observed | undefined
  // when the last renewal that was confirmed had been sent; `undefined` while we do not lead
  let sentAt: Duration | undefined
  // the highest seen, so that a KubeLease that was deleted does not begin anew
  let term = -1
  let cancelWatchdog = (): void => {}
  let loop: Promise<void> | undefined

  const lapsed = (): boolean => sentAt === undefined || clock.monotonic() - sentAt >= renewDeadline

  function observe(object: KubeObject): void {
    // an unchanged record must not look renewed
    if (observed?.record.resourceVersion === object.metadata.resourceVersion) return
    observed = { object, record: readLease(object), at: clock.monotonic() }
    term = Math.max(term, observed.record.transitions)
  }

  function lose(why: string): void {
    if (sentAt === undefined) return
    sentAt = undefined
    cancelWatchdog()
    log.warn('no longer leading', { reason: why })
    deps.onLost()
  }

  /** A process that gets no answers must notice by itself. */
  function guard(): void {
    cancelWatchdog()
    if (sentAt === undefined) return
    cancelWatchdog = timers.after(milliseconds(Math.max(sentAt + renewDeadline - clock.monotonic(), 0)), () => {
      if (lapsed()) lose('the renewal deadline passed')
      else guard()
    })
  }

  const ask = (request: Pick<RequestOptions, 'method' | 'path' | 'body'>) =>
    client.request<KubeObject>({ ...request, timeout: milliseconds(renewDeadline / 2), priority: 'end' })

  async function look(): Promise<boolean> {
    const answer = await ask({ method: 'GET', path: pathOf(kubeLeases, { namespace, name }) })
    if (answer.ok) observe(answer.value.body)
    else if (isNotFound(answer.failure)) observed = undefined
    else log.warn('the KubeLease cannot be read', { reason: describeError(answer.failure) })
    return answer.ok || isNotFound(answer.failure)
  }

  const mayTake = (): boolean =>
    observed === undefined ||
    observed.record.holder === '' ||
    observed.record.holder === identity ||
    clock.monotonic() - observed.at >= Math.max(seconds(observed.record.durationSeconds), leaseDuration)

  /** One compare-and-set. Whether it succeeded; after anything else we look before we try again. */
  async function write(holder: string, acquires: boolean): Promise<boolean> {
    const transitions = term + (acquires ? 1 : 0)
    const durationSeconds = holder === '' ? 1 : Math.ceil(leaseDuration / 1000)
    const annotations = acquires ? (deps.annotations ?? {}) : {}
    const body = writtenLease(
      { namespace, name },
      observed?.object,
      { holder, durationSeconds, transitions, annotations },
      clock.now(),
      acquires,
    )
    const answer =
      observed === undefined
        ? await ask({ method: 'POST', path: pathOf(kubeLeases, { namespace }), body })
        : await ask({ method: 'PUT', path: pathOf(kubeLeases, { namespace, name }), body })
    if (answer.ok) observe(answer.value.body)
    else log.debug('the KubeLease was not written', { reason: describeError(answer.failure) })
    return answer.ok
  }

  async function acquire(): Promise<void> {
    if (!(await look()) || !mayTake() || stopping.signal.aborted) return
    const sent = clock.monotonic()
    // an answer that comes after the deadline is no reason to believe that we still hold it
    if (!(await write(identity, true)) || clock.monotonic() - sent >= renewDeadline || stopping.signal.aborted) return
    sentAt = sent
    guard()
    log.info('leading', { term })
    deps.onGained()
  }

  async function renew(): Promise<void> {
    const sent = clock.monotonic()
    const written = await write(identity, false)
    if (lapsed()) return lose('the renewal deadline passed')
    if (written) {
      sentAt = sent
      return guard()
    }
    // the answer may have been lost, or somebody else may hold it now
    if ((await look()) && observed?.record.holder !== identity) lose('another holds the KubeLease')
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      if (sentAt !== undefined && lapsed()) lose('the renewal deadline passed')
      await (sentAt === undefined ? acquire() : renew())
      const jitter = sentAt === undefined ? 1 + 0.2 * entropy.unit() : 1
      await sleep(timers, milliseconds(retryPeriod * jitter), stopping.signal)
    }
  }

  return {
    start() {
      loop ??= run().catch((error: unknown) => {
        log.error('leader election stopped', { error: error instanceof Error ? error : new Error(String(error)) })
        lose('leader election stopped')
      })
    },
    async stop() {
      stopping.abort('aborted')
      lose('stopping')
      await loop
      if (observed?.record.holder === identity) await write('', false)
    },
    isLeader: () => !lapsed(),
    term: () => Math.max(term, 0),
    holder() {
      if (observed === undefined || observed.record.holder === '') return undefined
      return { identity: observed.record.holder, annotations: observed.record.annotations }
    },
  }
}
