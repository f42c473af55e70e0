// The newest token of each list that this replica has seen, own or fetched from the leader; handed on until its own expiry.
// Adopts nothing that the list key did not sign for that URI, and nothing older than what it has.

import type { JSONWebKeySet } from 'jose'
import { at, type Duration, type Instant, milliseconds } from '../../lib/instant.ts'
import type { Clock } from '../../ports/clock.ts'
import { verifyStatusList } from '../profiles/status-list.ts'

/** A token to serve; `unknown`: there is no such list (404); `unavailable`: nobody can say right now (503). */
export type Published = { readonly token: string } | 'unknown' | 'unavailable'
export type FetchFromLeader = (uri: string) => Promise<Published>

export interface HandedOn {
  /** Keeps what this replica signed as leader. */
  keep(uri: string, token: string, issuedAt: Instant, expiresAt: Instant): void
  /** The newest there is while it lasts, without asking anybody. */
  newest(uri: string): Published
  /** The newest there is after asking the leader, at most once in `refresh`. */
  refreshed(uri: string): Promise<Published>
}

interface Entry {
  readonly token: string
  readonly issuedAt: Instant
  readonly expiresAt: Instant
}

export interface HandedOnDependencies {
  readonly clock: Clock
  readonly keys: () => JSONWebKeySet
  readonly fetchFromLeader: FetchFromLeader
}

const refresh: Duration = milliseconds(1000)
const maxAnswers = 1024
const maxFetches = 16

export function createHandedOn({ clock, keys, fetchFromLeader }: HandedOnDependencies): HandedOn {
  const entries = new Map<string, Entry>()
  const asked = new Map<string, { readonly at: Duration; readonly unknown: boolean }>()
  const fetches = new Map<string, Promise<Published>>()

  function newest(uri: string): Published {
    const entry = entries.get(uri)
    return entry !== undefined && clock.now() < entry.expiresAt ? { token: entry.token } : 'unavailable'
  }

  function keep(uri: string, entry: Entry): void {
    const known = entries.get(uri)
    if (known !== undefined && known.issuedAt > entry.issuedAt) return
    if (entries.size >= maxAnswers) for (const [other, { expiresAt }] of entries) if (expiresAt <= clock.now()) entries.delete(other)
    entries.set(uri, entry)
  }

  async function ask(uri: string): Promise<Published> {
    const answer = await fetchFromLeader(uri).catch(() => 'unavailable' as const)
    if (answer === 'unavailable') return newest(uri)
    if (asked.size >= maxAnswers) asked.clear()
    if (answer === 'unknown') {
      entries.delete(uri)
      asked.set(uri, { at: clock.monotonic(), unknown: true })
      return 'unknown'
    }
    const verified = await verifyStatusList(answer.token, { keys: keys(), uri, now: clock.now() })
    if (!verified.ok) return newest(uri)
    asked.set(uri, { at: clock.monotonic(), unknown: false })
    keep(uri, { token: answer.token, issuedAt: verified.value.issuedAt, expiresAt: verified.value.expiresAt })
    return newest(uri)
  }

  return {
    keep: (uri, token, issuedAt, expiresAt) => keep(uri, { token, issuedAt: at(issuedAt), expiresAt }),
    newest,
    async refreshed(uri) {
      const last = asked.get(uri)
      if (last !== undefined && clock.monotonic() - last.at < refresh) return last.unknown ? 'unknown' : newest(uri)
      const running = fetches.get(uri)
      if (running !== undefined) return running
      if (fetches.size >= maxFetches) return newest(uri)
      const fetch = ask(uri).finally(() => fetches.delete(uri))
      fetches.set(uri, fetch)
      return fetch
    },
  }
}
