// The token status lists of one replica: gives places, learns from the stores and from the core what is dead, signs lists while it
// leads and hands on the leader's otherwise. Never signs without asking, as the last step, whether its term of leadership still runs.

import type { JSONWebKeySet } from 'jose'
import type { Uid } from '../../core/names.ts'
import { type Duration, formatTime, type Instant, milliseconds, plus, seconds, wholeSecond } from '../../lib/instant.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Entropy } from '../../ports/entropy.ts'
import type { IssuerIdentity, Signer, StatusAllocator, StatusRef } from '../../ports/signer.ts'
import { statusListClaims } from '../profiles/status-list.ts'
import { createHandedOn, type FetchFromLeader, type Published } from './handed-on.ts'
import { createList, type List, renderList } from './list.ts'
import { createOwners } from './owners.ts'
import { createPlaces, type Places } from './places.ts'
import { changeRecords, type ListRecord, type ListStore } from './records.ts'

export interface StatusListSettings {
  /** places of a list, a multiple of 8 */
  readonly size: number
  /** how long a verifier may keep a list */
  readonly ttl: Duration
  /** life of a list token: a list of a leader that is gone is refused after this */
  readonly expiry: Duration
  /** how long a given place may wait for its task's status to show it */
  readonly reservation: Duration
  /** the longest life of a token; an earlier list without live tokens goes after it */
  readonly maxTokenLife: Duration
}

export const defaultStatusListSettings: StatusListSettings = {
  size: 2 ** 17,
  ttl: seconds(15),
  expiry: seconds(60),
  reservation: seconds(60),
  maxTokenLife: seconds(24 * 3600),
}

export interface StatusListDependencies {
  readonly clock: Clock
  readonly entropy: Entropy
  readonly signer: Signer
  /** the published keys, by which a list from another replica is verified */
  readonly keys: () => JSONWebKeySet
  readonly identity: IssuerIdentity
  /** Number of the present term of leadership, by the monotonic clock at each call; `undefined` while this replica does not lead. */
  readonly term: () => number | undefined
  readonly store: ListStore
  readonly fetchFromLeader: FetchFromLeader
  readonly settings?: StatusListSettings
}

export interface StatusLists extends StatusAllocator {
  /** Starts a list of this term and records it; nothing is reserved before it succeeded. Called once a term, again after a failure. */
  beginTerm(): Promise<Result<undefined, string>>
  /** Every task of a consistent list that began in this term was passed to `observe`: from now on earlier lists can be made. */
  tasksSynced(): void
  /** The places that are live on this task by the newest state known; replaces what was said of it before. Empty once it is over. */
  observe(task: Uid, refs: readonly StatusRef[]): void
  /** This task does not exist any more. */
  forget(task: Uid): void
  /** The newest token of a list, made or handed on. */
  publish(uri: string): Promise<Published>
  /** The same without asking another replica: what the others ask for, so that two that take each other for the leader cannot go round. */
  publishHere(uri: string): Promise<Published>
  /** Removes the records of lists whose tokens are all dead and expired. Called now and then; answers how many went. */
  retire(): Promise<Result<number, string>>
}

/** A list token and the state of the list it was made from. */
interface Signed {
  readonly token: string
  readonly version: number
  readonly madeAt: Duration
}

/** `<issuer>/status-lists/<id>` */
export const statusListUri = (identity: IssuerIdentity, id: string): string => `${identity.url}/status-lists/${id}`

export function createStatusLists(deps: StatusListDependencies): StatusLists {
  const { clock, entropy, signer, identity, store } = deps
  const settings = deps.settings ?? defaultStatusListSettings
  const owners = createOwners()
  const handedOn = createHandedOn(deps)
  const lists = new Map<string, List>()
  const signed = new Map<string, Signed>()
  const signing = new Map<string, { readonly version: number; readonly result: Promise<Published> }>()
  /** ended while their list was not known here yet */
  let early: StatusRef[] = []
  let began: number | undefined
  let synced: number | undefined
  let current: { readonly list: List; readonly places: Places } | undefined
  let spare: typeof current
  let preparing = false

  const leading = (): boolean => began !== undefined && deps.term() === began
  const own = (list: List): boolean => list.term !== undefined && list.term === began

  async function startList(term: number): Promise<Result<NonNullable<typeof current>, string>> {
    const id = Buffer.from(entropy.bytes(16)).toString('hex')
    const record: ListRecord = { id, uri: statusListUri(identity, id), size: settings.size, createdTime: formatTime(clock.now()) }
    // Found already there means that the reply of an earlier write was lost.
    const recorded = await changeRecords(
      store,
      (records) => (records.some((r) => r.id === id) ? undefined : [...records, record]),
      () => deps.term() === term,
    )
    if (!recorded.ok) return recorded
    if (deps.term() !== term) return fail('this replica does not lead any more')
    adopt(recorded.value, record.uri)
    const list = createList(record, term)
    lists.set(record.uri, list)
    return ok({ list, places: createPlaces(record.size, entropy) })
  }

  /** Takes over what is recorded: what is not there any more does not exist. */
  function adopt(records: readonly ListRecord[], except: string): void {
    const uris = new Set(records.map((record) => record.uri))
    for (const uri of lists.keys()) if (!uris.has(uri)) lists.delete(uri)
    for (const record of records) {
      if (record.uri !== except && !lists.has(record.uri)) lists.set(record.uri, createList(record, undefined))
    }
    for (const ref of early) lists.get(ref.uri)?.kill(ref.index)
    early = []
  }

  function prepareSpare(): void {
    const term = began
    if (term === undefined || preparing || spare !== undefined) return
    preparing = true
    // A failure shows as `reserve` without an answer, and the next call tries again.
    void startList(term)
      .then((started) => {
        if (started.ok && began === term) spare = started.value
      })
      .finally(() => {
        preparing = false
      })
  }

  function end(ref: StatusRef): void {
    const list = lists.get(ref.uri)
    if (list !== undefined) list.kill(ref.index)
    else if (!leading()) early.push(ref)
  }

  function observe(task: Uid, refs: readonly StatusRef[]): void {
    const { added, dropped } = owners.set(task, refs)
    for (const ref of dropped) lists.get(ref.uri)?.kill(ref.index)
    for (const ref of added) {
      const list = lists.get(ref.uri)
      if (list === undefined) continue
      list.shown(ref.index)
      if (!own(list)) list.version += 1
    }
  }

  async function sign(list: List): Promise<Published> {
    const { uri } = list.record
    const { version } = list
    const term = began
    const madeAt = clock.monotonic()
    const issuedAt: Instant = wholeSecond(clock.now())
    const expiresAt = plus(issuedAt, settings.expiry)
    const claims = statusListClaims({ uri, bits: renderList(list, own(list), owners), issuedAt, expiresAt, ttl: settings.ttl })
    if (!leading()) return handedOn.newest(uri)
    const token = new TextDecoder().decode((await signer.sign('StatusList', claims)).reveal())
    // The bits were those of a list of this term; in a later one the same list reads differently.
    if (!leading() || began !== term || lists.get(uri) !== list) return handedOn.newest(uri)
    signed.set(uri, { token, version, madeAt })
    handedOn.keep(uri, token, issuedAt, expiresAt)
    return { token }
  }

  async function lead(uri: string): Promise<Published> {
    const list = lists.get(uri)
    if (list === undefined) return 'unknown'
    if (!own(list) && synced !== began) return handedOn.newest(uri)
    if (own(list)) list.lapse(clock.monotonic())
    const made = signed.get(uri)
    if (made?.version === list.version && clock.monotonic() - made.madeAt < settings.ttl / 2) return { token: made.token }
    // Shared only by those who see the same state: who asks after a change gets a list made after it.
    const running = signing.get(uri)
    if (running?.version === list.version) return running.result
    const result = sign(list).finally(() => {
      if (signing.get(uri)?.result === result) signing.delete(uri)
    })
    signing.set(uri, { version: list.version, result })
    return result
  }

  return {
    async beginTerm() {
      const term = deps.term()
      if (term === undefined) return fail('this replica does not lead')
      if (began === term && current !== undefined) return ok(undefined)
      began = undefined
      current = undefined
      spare = undefined
      signed.clear()
      signing.clear()
      const started = await startList(term)
      if (!started.ok) return started
      began = term
      current = started.value
      return ok(undefined)
    },
    tasksSynced() {
      synced = deps.term()
    },
    observe,
    forget: (task) => observe(task, []),
    reserve() {
      while (leading() && current !== undefined) {
        const { list, places } = current
        const index = places.take()
        if (places.left < settings.size / 8) prepareSpare()
        if (index === undefined) {
          if (spare === undefined) return undefined
          current = spare
          spare = undefined
        } else if (!owners.has(list.record.uri, index) && !list.dead(index)) {
          list.give(index, milliseconds(clock.monotonic() + settings.reservation))
          return { uri: list.record.uri, index }
        }
      }
      return undefined
    },
    usable(ref) {
      const list = lists.get(ref.uri)
      if (!leading() || list === undefined || !own(list)) return false
      return owners.has(ref.uri, ref.index) && !list.dead(ref.index)
    },
    end,
    publishHere: async (uri) => (leading() ? lead(uri) : handedOn.newest(uri)),
    publish: (uri) => (leading() ? lead(uri) : handedOn.refreshed(uri)),
    async retire() {
      if (!leading() || synced !== began) return ok(0)
      const now = clock.monotonic()
      const gone = new Set<string>()
      for (const list of lists.values()) {
        const inUse = list === current?.list || list === spare?.list || list.waiting > 0 || owners.count(list.record.uri) > 0
        list.emptySince = inUse ? undefined : (list.emptySince ?? now)
        if (list.emptySince !== undefined && now - list.emptySince >= settings.maxTokenLife) gone.add(list.record.uri)
      }
      if (gone.size === 0) return ok(0)
      const kept = await changeRecords(store, (records) => records.filter((r) => !gone.has(r.uri)), leading)
      if (!kept.ok) return kept
      for (const uri of gone) lists.delete(uri)
      return ok(gone.size)
    },
  }
}
