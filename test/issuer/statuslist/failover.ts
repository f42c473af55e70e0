// A small cluster for the property of the status lists: replicas that lead, pause, crash and come back, each with a view of the tasks
// that may be old, and a record of every list that any of them ever handed out.

import { inflateSync } from 'node:zlib'
import { decodeJwt } from 'jose'
import { asUid, type Uid } from '../../../src/core/names.ts'
import type { Keyring } from '../../../src/issuer/keyring.ts'
import { createStatusLists, defaultStatusListSettings, type StatusLists } from '../../../src/issuer/statuslist/statuslist.ts'
import { seconds } from '../../../src/lib/instant.ts'
import type { StatusRef } from '../../../src/ports/signer.ts'
import { createClock, createListStore, entropy, identity } from '../world.ts'

const second = 1000
const renewDeadline = 10 * second
const leaseDuration = 15 * second
const watchDelay = 2 * second
const { ttl } = defaultStatusListSettings

/** A task as the API server holds it. */
interface Task {
  version: number
  ref: StatusRef | undefined
  over: boolean
}

/** A token from its delivery to its end, in milliseconds since the start. */
export interface Life {
  readonly ref: StatusRef
  readonly from: number
  until: number | undefined
}

/** One answer to somebody who asked for a list. */
export interface Seen {
  readonly at: number
  /** until when a verifier may go by it */
  readonly until: number
  readonly uri: string
  readonly bits: Uint8Array | 'unknown'
}

interface Replica {
  lists: StatusLists
  paused: boolean
  renewed: number
  term: number | undefined
  relisted: number | undefined
  begun: number | undefined
  view: Map<Uid, { version: number; ref: StatusRef | undefined }>
  events: { at: number; task: Uid; version: number; ref: StatusRef | undefined }[]
  steps: (() => void)[]
}

export type Command =
  | { readonly do: 'wait'; readonly for: number }
  | { readonly do: 'pause' | 'resume' | 'crash' | 'lead' | 'step' | 'retire'; readonly replica: number }
  | { readonly do: 'issue' | 'finish'; readonly replica: number; readonly task: number }
  | { readonly do: 'delete'; readonly task: number }
  | { readonly do: 'ask'; readonly replica: number; readonly list: number }
  | { readonly do: 'hold' | 'release' }

export async function play(commands: readonly Command[], keyring: Keyring): Promise<{ lives: readonly Life[]; seen: readonly Seen[] }> {
  const clock = createClock()
  const zero = clock.monotonic()
  const now = () => clock.monotonic() - zero
  const store = createListStore()
  const tasks = new Map<Uid, Task>()
  const lease = { holder: -1, renewed: Number.NEGATIVE_INFINITY, term: 0 }
  const lives: Life[] = []
  const seen: Seen[] = []
  const uris: string[] = []
  const inflight: Promise<void>[] = []
  let hold: { readonly promise: Promise<void>; readonly open: () => void } | undefined
  const replicas: Replica[] = []

  function boot(): Replica {
    const replica: Replica = {
      lists: undefined as never,
      paused: false,
      renewed: Number.NEGATIVE_INFINITY,
      term: undefined,
      relisted: undefined,
      begun: undefined,
      view: new Map(),
      events: [],
      steps: [],
    }
    replica.lists = createStatusLists({
      clock,
      entropy,
      identity,
      store,
      keys: () => keyring.jwks(),
      signer: {
        async sign(profile, claims) {
          await hold?.promise
          return await keyring.sign(profile, claims)
        },
      },
      term: () => (now() < replica.renewed + renewDeadline ? replica.term : undefined),
      fetchFromLeader: async (uri) => {
        const leader = replicas[lease.holder]
        return leader === undefined || leader === replica || leader.paused ? 'unavailable' : await leader.lists.publishHere(uri)
      },
      settings: { ...defaultStatusListSettings, size: 64, maxTokenLife: seconds(120) },
    })
    return replica
  }
  replicas.push(boot(), boot())

  const fenced = (replica: Replica) => now() < replica.renewed + renewDeadline && replica.term === lease.term

  /** The store of a replica takes a state if it is newer. */
  function learn(replica: Replica, task: Uid, version: number, ref: StatusRef | undefined): void {
    if ((replica.view.get(task)?.version ?? 0) >= version) return
    replica.view.set(task, { version, ref })
    replica.lists.observe(task, ref === undefined ? [] : [ref])
  }

  function write(uid: Uid, change: Partial<Task>): Task {
    const before = tasks.get(uid) ?? { version: 0, ref: undefined, over: false }
    const after = { ...before, ...change, version: before.version + 1 }
    tasks.set(uid, after)
    if (before.ref !== undefined && (after.over || after.ref !== before.ref)) {
      for (const life of lives) if (life.ref === before.ref) life.until ??= now()
    }
    const event = { at: now(), task: uid, version: after.version, ref: after.over ? undefined : after.ref }
    for (const replica of replicas) replica.events.push(event)
    return after
  }

  async function tick(): Promise<void> {
    clock.advance(seconds(1))
    for (const [index, replica] of replicas.entries()) {
      if (replica.paused) continue
      const due = replica.events.filter((event) => event.at + watchDelay <= now())
      replica.events = replica.events.filter((event) => event.at + watchDelay > now())
      for (const event of due) learn(replica, event.task, event.version, event.ref)
      // The elector sees on its own that its time is over, before it can get the lease again.
      if (now() >= replica.renewed + renewDeadline) replica.term = undefined
      if (replica.term !== undefined && lease.holder === index) replica.renewed = lease.renewed = now()
    }
  }

  async function lead(index: number): Promise<void> {
    const replica = replicas[index] as Replica
    if (replica.paused) return
    if (replica.term === undefined) {
      if (now() < lease.renewed + leaseDuration) return
      Object.assign(lease, { holder: index, renewed: now(), term: lease.term + 1 })
      replica.renewed = now()
      replica.term = lease.term
      return
    }
    // A consistent list of tasks and a list of the term, each in a step of its own, in either order.
    const relistFirst = replica.term % 2 === 1
    if (replica.relisted !== replica.term && (relistFirst || replica.begun === replica.term)) {
      for (const [uid, { version, ref, over }] of tasks) learn(replica, uid, version, over ? undefined : ref)
      replica.relisted = replica.term
      replica.lists.tasksSynced()
      return
    }
    if ((await replica.lists.beginTerm()).ok) replica.begun = replica.term
  }

  /** Reserve and record; then learn the reply; then, fenced, send the Secret; then it lands. Between any two anything may happen. */
  function issue(replica: Replica, uid: Uid): void {
    if (replica.paused || !fenced(replica)) return
    const known = replica.view.get(uid)?.version ?? 0
    const ref = replica.lists.reserve()
    if (ref === undefined) return
    if (!uris.includes(ref.uri)) uris.push(ref.uri)
    replica.steps.push(() => {
      const current = tasks.get(uid)
      if ((current?.version ?? 0) !== known || current?.over === true) return
      const recorded = write(uid, { ref })
      replica.steps.push(() => {
        learn(replica, uid, recorded.version, ref)
        if (!fenced(replica) || !replica.lists.usable(ref)) return
        replica.steps.push(() => {
          const stored = tasks.get(uid)
          if (stored?.ref === ref && !stored.over && !lives.some((life) => life.ref === ref))
            lives.push({ ref, from: now(), until: undefined })
        })
      })
    })
  }

  async function ask(index: number, uri: string): Promise<void> {
    const replica = replicas[index] as Replica
    if (replica.paused) return
    const published = await replica.lists.publish(uri)
    if (published === 'unavailable') return
    if (published === 'unknown') return void seen.push({ at: now(), until: now() + 1, uri, bits: 'unknown' })
    const { exp = 0, status_list: list } = decodeJwt<{ status_list: { lst: string } }>(published.token)
    const expiry = exp * second - (clock.now() - now())
    seen.push({ at: now(), until: Math.min(now() + ttl, expiry), uri, bits: inflateSync(Buffer.from(list.lst, 'base64url')) })
  }

  async function release(): Promise<void> {
    hold?.open()
    hold = undefined
    await Promise.all(inflight.splice(0))
  }

  async function run(command: Command): Promise<void> {
    const replica = 'replica' in command ? (replicas[command.replica] as Replica) : undefined
    const uid = 'task' in command ? asUid(`task-${command.task}`) : undefined
    if (command.do === 'wait') for (let n = 0; n < command.for; n += 1) await tick()
    else if (command.do === 'hold') hold ??= createGate()
    else if (command.do === 'release') await release()
    else if (command.do === 'delete' && uid !== undefined && tasks.has(uid)) write(uid, { over: true })
    else if (command.do === 'ask' && uris.length > 0) {
      const asked = ask(command.replica, uris[command.list % uris.length] as string)
      if (hold === undefined) await asked
      else inflight.push(asked)
    } else if (replica === undefined || replica.paused) {
      if (command.do === 'resume' && replica !== undefined) replica.paused = false
    } else if (command.do === 'pause') replica.paused = true
    else if (command.do === 'crash') replicas[replicas.indexOf(replica)] = boot()
    else if (command.do === 'lead') await lead(command.replica as number)
    else if (command.do === 'step') replica.steps.shift()?.()
    else if (command.do === 'retire') await replica.lists.retire()
    else if (command.do === 'issue' && uid !== undefined) issue(replica, uid)
    else if (command.do === 'finish' && uid !== undefined) {
      // The leader itself ends the task: it knows at once.
      const ref = tasks.get(uid)?.ref
      if (ref === undefined || !fenced(replica)) return
      write(uid, { over: true })
      replica.lists.end(ref)
    }
  }

  for (const command of commands) await run(command)
  await release()
  return { lives, seen }
}

function createGate() {
  let open = () => {}
  const promise = new Promise<void>((done) => {
    open = done
  })
  return { promise, open }
}
