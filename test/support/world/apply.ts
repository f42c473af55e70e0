// What the runtime's handlers do, against the fake API server: one pass from gather to the status write. It stops at every call, so that
// the world can pause, fail, delay or kill it there. Follows src/runtime/reconcile.ts and src/runtime/effects step by step.

import { decide, withdrawTries } from '../../../src/core/decide.ts'
import { judge, questions } from '../../../src/core/judge.ts'
import { secretName } from '../../../src/core/names.ts'
import type { Observed, Report, Task, TaskRecord } from '../../../src/core/observed.ts'
import type { Effect, IssueOrder, Outcome, Performed, Plan } from '../../../src/core/plan.ts'
import { liveStatusRefs } from '../../../src/core/record.ts'
import { type Settled, settle } from '../../../src/core/settle.ts'
import { stand } from '../../../src/core/standing.ts'
import { equal } from '../../../src/lib/canonical.ts'
import { fail, ok } from '../../../src/lib/result.ts'
import { type Call, send } from './calls.ts'
import { type createLedger, handleIn, type Intended } from './ledger.ts'
import type { Replica, WorldClock } from './replica.ts'
import { type Answer, type Refused, refKey, type Secret, type Server, type Token } from './server.ts'

export interface ApplyDeps {
  readonly server: Server
  readonly clock: WorldClock
  readonly replica: Replica
  readonly ledger: ReturnType<typeof createLedger>
  readonly tell: (text: string) => void
  /** sees each plan before anything is done about it */
  readonly planned: (observed: Observed, plan: Plan) => void
}

interface Pass {
  readonly observed: Observed
  readonly plan: Plan
  stored: { readonly record: TaskRecord; readonly report: Report; readonly version: number }
  written: Secret | undefined
  readonly rows: Map<string, Answer<Intended>>
}

type Steps<T> = Generator<Call, T, unknown>

const retry = (message: string): Outcome => ({ tag: 'retry', failure: { reason: 'WriteFailed', message } })
const done = (of: 'Withdraw' | 'Revoke' | 'RevokeLease' | 'DeleteTask'): Outcome => ({ tag: 'done', fact: { of } })

export interface Next {
  readonly again: Settled['again']
  readonly wakeAt: Settled['wakeAt']
}

export function createPasses({ server, clock, replica, ledger, tell, planned }: ApplyDeps) {
  return function* run(key: string): Steps<Next> {
    const entry = replica.caches.tasks.get(key)
    const left = replica.departed.get(key)
    if (left !== undefined && left.task.uid !== entry?.value.uid) {
      if (left.doubtful && entry === undefined) {
        const live = yield* send(`GET task ${key}`, () => ok(server.objects.tasks.get(key)?.value.uid))
        if (!live.ok) return { again: 'backoff', wakeAt: undefined }
        if (live.value === left.task.uid) {
          replica.departed.delete(key)
          return { again: 'none', wakeAt: undefined }
        }
      }
      replica.departed.set(key, { ...left, doubtful: false })
      const next = yield* pass(left.task, 0)
      return entry !== undefined && next.again === 'none' ? { again: 'now', wakeAt: undefined } : next
    }
    replica.departed.delete(key)
    return entry === undefined ? { again: 'none', wakeAt: undefined } : yield* pass(entry.value, entry.version)
  }

  function* pass(task: Task, version: number): Steps<Next> {
    const key = task.name
    const now = clock.wall
    const observed = yield* replica.gather(task, now)
    const plan = decide(observed, now)
    planned(observed, plan)
    const pass: Pass = {
      observed,
      plan,
      stored: { record: task.record, report: task.report, version },
      written: undefined,
      rows: new Map(),
    }
    const performed: Performed[] = []
    for (const effect of plan.effects) {
      const outcome: Outcome = yield* perform(pass, effect)
      tell(`${replica.name} ${key}: ${effect.tag}${'attempt' in effect ? ` ${effect.attempt}` : ''} -> ${outcome.tag}`)
      performed.push({ effect, outcome })
      const makes = effect.tag === 'RecordIntent' || effect.tag === 'Issue' || effect.tag === 'Renew'
      if (makes && outcome.tag !== 'done') break
    }
    const settled = settle(observed, plan, performed, clock.wall)
    if (performed.some(({ outcome }) => outcome.tag === 'lost')) return { again: 'now', wakeAt: undefined }
    const deleted = performed.some(({ effect }) => effect.tag === 'DeleteTask')
    const written = deleted ? 'done' : yield* writeStatus(pass, settled.record, settled.report)
    if (written !== 'done' && !(yield* takeBack(pass, settled))) return { again: written === 'lost' ? 'now' : 'backoff', wakeAt: undefined }
    if (task.gone) replica.settleDeparted(key, settled)
    return settled
  }

  function* perform(pass: Pass, effect: Effect): Steps<Outcome> {
    const { task } = pass.observed
    switch (effect.tag) {
      case 'RecordIntent': {
        const credentials = effect.record.credentials.map((c) => {
          if (!effect.orders.some((o) => o.name === c.name)) return c
          if (c.revocation.class === 'Immediate') return { ...c, handle: handleIn(task, c.name, effect.record.attempt) }
          return c.revocation.class === 'Checked' && replica.leads() ? { ...c, statusList: replica.reserve() } : c
        })
        if (effect.orders.length > 0 && credentials.some((c) => c.revocation.class === 'Checked' && c.statusList === undefined))
          return retry('no place to give')
        const record = { ...effect.record, credentials }
        // sent together, so that they arrive in any order: a row may stand although its intent lost
        const rowsFirst = effect.record.attempt % 2 === 0
        if (rowsFirst) yield* writeRows(pass, record, effect.orders)
        const written = yield* writeStatus(pass, record, pass.stored.report)
        if (!rowsFirst) yield* writeRows(pass, record, effect.orders)
        if (written === 'done') return { tag: 'done', fact: { of: 'RecordIntent', record } }
        return written === 'lost' ? { tag: 'lost' } : retry('no answer')
      }
      case 'Issue':
      case 'Renew':
        return yield* issue(pass, effect)
      case 'Withdraw':
        return yield* withdraw(task, effect)
      case 'Revoke':
        if (effect.credential.handle !== undefined) return handOver(effect.credential.handle, 'Revoke')
        if (effect.credential.statusList !== undefined) replica.ended.add(refKey(effect.credential.statusList))
        return done('Revoke')
      case 'RevokeLease':
        return handOver(effect.lease.handle, 'RevokeLease')
      case 'DeleteTask': {
        if (!replica.leads()) return { tag: 'lost' }
        const removed = yield* send(`DELETE task ${task.name}`, () => {
          if (server.objects.tasks.get(task.name)?.value.uid !== effect.uid) return fail('conflict')
          server.remove('tasks', task.name)
          return ok(undefined)
        })
        return removed.ok || removed.failure !== 'failed' ? done('DeleteTask') : retry('no answer')
      }
    }
  }

  function* writeRows(pass: Pass, record: TaskRecord, orders: readonly IssueOrder[]): Steps<void> {
    for (const order of orders) {
      if (record.credentials.find((c) => c.name === order.name)?.handle === undefined) continue
      pass.rows.set(order.name, yield* ledger.intend(pass.observed.task, record.attempt, order))
    }
  }

  function handOver(handle: string, of: 'Revoke' | 'RevokeLease'): Outcome {
    const message = ledger.handOver(handle)
    return message === undefined ? done(of) : { tag: 'pending', failure: { reason: 'RevocationUnconfirmed', message } }
  }

  function* issue(pass: Pass, effect: Extract<Effect, { tag: 'Issue' | 'Renew' }>): Steps<Outcome> {
    const { task } = pass.observed
    const tokens: Token[] = []
    for (const order of effect.orders) {
      const provider = replica.caches.providers.get(order.provider.name)?.value
      if (provider?.uid !== order.provider.uid) return retry('the provider is gone or was replaced')
      const recorded = pass.stored.record.credentials.find((c) => c.name === order.name)
      const made =
        provider.revocation === 'Immediate'
          ? yield* ledger.make(task, effect, order, pass.rows.get(order.name), recorded?.handle)
          : ok(undefined)
      if (!made.ok) return retry(made.failure)
      const ref = recorded?.statusList
      const cached = replica.caches.tasks.get(task.name)?.value
      const shown = ref !== undefined && cached !== undefined && liveStatusRefs(cached.record).some((r) => refKey(r) === refKey(ref))
      const usable = ref === undefined || (replica.leads() && replica.given.has(refKey(ref)) && shown && !replica.ended.has(refKey(ref)))
      if (effect.tag === 'Issue' && !usable) return retry('its place is not usable')
      const handle = made.value
      tokens.push({
        task: task.uid,
        credential: order.name,
        attempt: effect.attempt,
        ref,
        handle,
        expiresAt: order.expiresAt,
        by: effect.tag,
      })
    }
    const cached = replica.caches.tasks.get(task.name)?.value
    if (cached === undefined || cached.uid !== task.uid) return { tag: 'denied' }
    const again = yield* replica.gather({ ...cached, record: pass.stored.record }, clock.wall)
    if (stand(again, judge(again, questions(again, clock.wall).standing), clock.wall).kind !== 'clear') return { tag: 'denied' }
    const secret = { owner: task.uid, attempt: effect.attempt, tokens }
    const written = effect.tag === 'Issue' ? yield* createOrReplace(task, secret) : yield* replace(task, secret)
    if (effect.tag === 'Renew' && !written.ok && written.failure === 'notFound') return { tag: 'absent' }
    if (!written.ok) return refused(written.failure)
    pass.written = written.value
    return {
      tag: 'done',
      fact: { of: effect.tag, secretUid: written.value.uid, expiries: Object.fromEntries(tokens.map((t) => [t.credential, t.expiresAt])) },
    }
  }

  function refused(failure: Refused): Outcome {
    if (failure === 'behind') return { tag: 'behind' }
    if (failure === 'conflict') return { tag: 'lost' }
    if (failure === 'foreign') return { tag: 'stalled', failure: { reason: 'SecretConflict', message: 'taken' } }
    return retry(failure)
  }

  function* createOrReplace(task: Task, secret: Omit<Secret, 'uid' | 'version'>): Steps<Answer<Secret>> {
    if (!replica.leads()) return fail('conflict')
    const created = yield* send(`POST secret ${task.name} ${secret.attempt}`, () => server.createSecret(secretName(task.name), secret))
    return created.ok || created.failure !== 'exists' ? created : yield* replace(task, secret)
  }

  function* replace(task: Task, secret: Omit<Secret, 'uid' | 'version'>): Steps<Answer<Secret>> {
    if (!replica.leads()) return fail('conflict')
    return yield* send(`PUT secret ${task.name} ${secret.attempt}`, () => server.replaceSecret(secretName(task.name), secret))
  }

  function* withdraw(task: Task, effect: Extract<Effect, { tag: 'Withdraw' }>): Steps<Outcome> {
    if (effect.uid !== undefined) {
      const removed = yield* remove(task, effect.uid)
      if (removed !== 'another') return removed
    }
    for (let attempt = effect.attempt + 1; attempt <= effect.attempt + withdrawTries; attempt += 1) {
      const emptied = yield* replace(task, { owner: task.uid, attempt, tokens: [] })
      if (emptied.ok) {
        const removed = yield* remove(task, emptied.value.uid)
        return removed === 'another' ? retry('the Secret changed while it was deleted') : removed
      }
      if (emptied.failure === 'notFound' || emptied.failure === 'foreign') return done('Withdraw')
      if (emptied.failure !== 'behind') return refused(emptied.failure)
    }
    return { tag: 'behind' }
  }

  /** `another`: a Secret of another UID has the name, which may be this task's as well. */
  function* remove(task: Task, uid: Secret['uid']): Steps<Outcome | 'another'> {
    if (!replica.leads()) return { tag: 'lost' }
    const removed = yield* send(`DELETE secret ${task.name}`, () => server.deleteSecret(secretName(task.name), uid))
    if (!removed.ok && removed.failure === 'conflict') return 'another'
    return removed.ok || removed.failure === 'notFound' ? done('Withdraw') : retry('no answer')
  }

  function* writeStatus(pass: Pass, record: TaskRecord, report: Report): Steps<'done' | 'lost' | 'retry'> {
    const { task } = pass.observed
    const { stored } = pass
    if (!task.gone) {
      if (equal(stored.record, record) && equal(stored.report, report)) return 'done'
      const written = yield* send(`PATCH ${task.name}`, () => server.patchStatus(task.name, stored.version, record, report))
      if (!written.ok) return written.failure === 'failed' ? 'retry' : 'lost'
      replica.absorb('tasks', task.name, written.value)
      pass.stored = { record, report, version: written.value.version }
      return 'done'
    }
    pass.stored = { ...stored, record, report }
    return 'done'
  }

  /** After a lost status write: written again if the record is still ours, else what was written into the Secret is taken back. */
  function* takeBack(pass: Pass, settled: Settled): Steps<boolean> {
    const { written, observed } = pass
    const { name, uid } = observed.task
    if (written === undefined) return false
    const live = yield* send(`GET task ${name}`, () => ok(server.objects.tasks.get(name)))
    if (!live.ok) return false
    const now = live.value?.value
    const { secret } = now?.record ?? {}
    if (now?.uid === uid && secret?.uid === written.uid && secret.attempt === settled.record.attempt) return true
    const ours = now?.uid === uid && now.record.attempt === pass.stored.record.attempt && now.record.completedAt === undefined
    if (live.value !== undefined && ours && !now.deleting) {
      pass.stored = { record: now.record, report: now.report, version: live.value.version }
      // a write without an answer may still land, and one that lost is read again: the Secret stays, its intent is open
      return (yield* writeStatus(pass, settled.record, settled.report)) === 'done'
    }
    yield* send(`DELETE secret ${name} as written`, () => server.deleteSecret(secretName(name), written.uid, written.version))
    return false
  }
}
