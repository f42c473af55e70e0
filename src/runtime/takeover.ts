// What a replica does between winning the KubeLease and deciding anything, and when it loses it.

import type { StatusLists } from '../issuer/statuslist/statuslist.ts'
import type { Elector } from '../kube/elector.ts'
import type { Log } from '../ports/log.ts'
import type { Fences } from './fences.ts'
import type { Policies } from './policies.ts'
import type { ProviderChecks } from './providers.ts'
import type { Watching } from './watching.ts'

export interface TakeoverDeps {
  readonly elector: Pick<Elector, 'isLeader'>
  readonly watching: Pick<Watching, 'relist'>
  readonly policies: Policies
  readonly providers: ProviderChecks
  readonly fences: Fences
  readonly statusLists: Pick<StatusLists, 'beginTerm' | 'tasksSynced'>
  readonly log: Log
  /** everything is known and in force: tasks may be decided */
  readonly done: () => void
}

export interface Takeover {
  gained(): void
  lost(): void
  /** leads, by the monotonic clock, and has taken over */
  active(): boolean
}

const pause = 500
/** A policy whose status cannot be written must not stop everything else: it stands as it was last recorded, or denies. */
const policyTries = 10

export function createTakeover(deps: TakeoverDeps): Takeover {
  const { elector, log } = deps
  let term = 0
  let active = false

  /** Every kind was listed anew, every policy is in force and the issuer has a list of this term. */
  async function prepare(current: () => boolean): Promise<void> {
    for (let tries = 1; current(); tries += 1) {
      const listed = await deps.watching.relist()
      const inForce = listed && ((await deps.policies.handleAll()) || tries >= policyTries)
      if (inForce && (await beganTerm())) return
      await new Promise((resolve) => setTimeout(resolve, pause))
    }
  }

  async function beganTerm(): Promise<boolean> {
    const began = await deps.statusLists.beginTerm()
    if (!began.ok) log.warn('the status list of this term could not be recorded; it is tried again', { reason: began.failure })
    return began.ok
  }

  async function take(mine: number): Promise<void> {
    const current = (): boolean => mine === term && elector.isLeader()
    log.info('leading; taking over')
    await prepare(current)
    if (!current()) return
    await deps.providers.checkAll()
    await deps.fences.check()
    if (!current()) return
    deps.statusLists.tasksSynced()
    active = true
    log.info('took over')
    deps.done()
  }

  return {
    gained() {
      term += 1
      void take(term)
    },
    lost() {
      term += 1
      active = false
    },
    active: () => active && elector.isLeader(),
  }
}
