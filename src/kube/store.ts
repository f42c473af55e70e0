// What is known of one kind: a flat map of small records, kept in step by a reflector and by the replies of own writes.
// A change is taken only if it is newer than what is held, whichever of the sources it came from and in whatever order.

import type { Log } from '../ports/log.ts'
import { compareVersions, type KubeObject, keyOf } from './objects.ts'

/** One object as the store keeps it. */
export interface Entry<T> {
  readonly key: string
  readonly uid: string
  readonly resourceVersion: string
  readonly value: T
}

/** `inferred` means that nobody said so: a consistent list did not have it. */
export type Change<T> =
  | { readonly type: 'set'; readonly key: string; readonly before: T | undefined; readonly after: T; readonly inferred: false }
  | { readonly type: 'deleted'; readonly key: string; readonly before: T; readonly after: undefined; readonly inferred: boolean }

/** Readers' side. */
export interface StoreView<T> {
  get(key: string): T | undefined
  /** The entry with UID and version, for writers. */
  entry(key: string): Entry<T> | undefined
  values(): IterableIterator<T>
  keys(): IterableIterator<string>
  readonly size: number
  /** A secondary index, kept up from now on. The answer gives the keys of the objects that `keysOf` put under a term. */
  index(keysOf: (value: T) => readonly string[]): (term: string) => ReadonlySet<string>
  /** Called after each change, in order. The answer unsubscribes. */
  subscribe(listener: (change: Change<T>) => void): () => void
  /** Takes the reply of an own write. Ignored if older than what is known, also if that is that the object is gone. */
  apply(entry: Entry<T>): boolean
}

export interface CommitOptions {
  /** awaited between objects, so that a large list does not hold up the event loop */
  readonly breathe?: () => Promise<void> | undefined
  /** called before deletions are inferred: how many of how many objects are gone */
  readonly onAbsent?: (gone: number, held: number) => void
}

export interface Committed {
  /** the list was older than what was known: history was rewritten, and every version known before is void */
  readonly rewound: boolean
  readonly taken: number
  readonly gone: number
}

/** A consistent list being taken in, for one scope of the store. */
export interface Snapshot<T> {
  add(entry: Entry<T>): void
  /** The list has this object but it could not be read: what is held stays. */
  addUnreadable(key: string): void
  /** A list that comes as events may take an object back. */
  drop(key: string): void
  /** Puts the list made at `resourceVersion` into force. */
  commit(resourceVersion: string, options?: CommitOptions): Promise<Committed>
  abandon(): void
}

export interface Store<T> extends StoreView<T> {
  /** A watch event of a scope that says what an object is now, in the watch's order. */
  observe(scope: string, entry: Entry<T>): void
  /** A watch event of a scope that says that an object is gone. */
  remove(scope: string, object: Pick<KubeObject, 'metadata'>): void
  /** A bookmark, or an event that says nothing else: all changes of the scope up to this version are in. */
  advance(scope: string, resourceVersion: string): void
  /** Begins a list. To be called before the list is asked for. */
  snapshot(scope: string): Snapshot<T>
}

/** A scope is a namespace, or the empty string for a store that is filled by one list. */
export function createStore<T>(deps: { readonly log?: Pick<Log, 'error'> } = {}): Store<T> {
  const entries = new Map<string, Entry<T>>()
  // up to which version all changes of a scope are in: what is not held and not newer than this is gone
  const positions = new Map<string, string>()
  const listeners = new Set<(change: Change<T>) => void>()
  const indexes: { readonly keysOf: (value: T) => readonly string[]; readonly terms: Map<string, Set<string>> }[] = []
  const running = new Set<Listed<T>>()

  const scopeOf = (key: string): string => {
    if (positions.has('')) return ''
    const slash = key.indexOf('/')
    return slash === -1 ? '' : key.slice(0, slash)
  }
  const isNewer = (entry: Entry<T>): boolean => {
    const held = entries.get(entry.key)
    return held === undefined || compareVersions(entry.resourceVersion, held.resourceVersion) > 0
  }

  function set(entry: Entry<T>): Change<T> {
    const before = entries.get(entry.key)
    entries.set(entry.key, entry)
    reindex(entry.key, before?.value, entry.value)
    return publish({ type: 'set', key: entry.key, before: before?.value, after: entry.value, inferred: false })
  }

  function remove(held: Entry<T>, resourceVersion: string, inferred: boolean): Change<T> {
    entries.delete(held.key)
    for (const list of running) if (inScope(held.key, list.scope)) list.deleted.set(held.key, resourceVersion)
    reindex(held.key, held.value, undefined)
    return publish({ type: 'deleted', key: held.key, before: held.value, after: undefined, inferred })
  }

  function publish(change: Change<T>): Change<T> {
    for (const listener of listeners) {
      try {
        listener(change)
      } catch (error) {
        deps.log?.error('a store listener threw', { key: change.key, error: error instanceof Error ? error : new Error(String(error)) })
      }
    }
    return change
  }

  function reindex(key: string, before: T | undefined, after: T | undefined): void {
    for (const { keysOf, terms } of indexes) {
      if (before !== undefined) for (const term of keysOf(before)) drop(terms, term, key)
      if (after !== undefined) for (const term of keysOf(after)) put(terms, term, key)
    }
  }

  function advance(scope: string, resourceVersion: string): void {
    const position = positions.get(scope)
    if (position === undefined || compareVersions(resourceVersion, position) > 0) positions.set(scope, resourceVersion)
  }

  async function commit(list: Listed<T>, resourceVersion: string, options: CommitOptions): Promise<Committed> {
    const { scope, start, items, deleted } = list
    // a consistent list cannot be older than what was known before it: then history was rewritten (etcd restored), and it rules alone
    const rewound = start !== undefined && compareVersions(resourceVersion, start) < 0
    const isGone = (held: Entry<T>): boolean =>
      inScope(held.key, scope) &&
      !items.has(held.key) &&
      !list.unreadable.has(held.key) &&
      // what is newer than the list was written after it
      (rewound || compareVersions(held.resourceVersion, resourceVersion) <= 0)
    let taken = 0
    for (const entry of items.values()) {
      const deletedAt = deleted.get(entry.key)
      const held = entries.get(entry.key)
      const differs = held === undefined || held.resourceVersion !== entry.resourceVersion || held.uid !== entry.uid
      const news = isNewer(entry) && (deletedAt === undefined || compareVersions(entry.resourceVersion, deletedAt) > 0)
      if (rewound ? differs : news) {
        set(entry)
        taken += 1
      }
      await options.breathe?.()
    }
    const gone: Entry<T>[] = []
    for (const held of entries.values()) if (isGone(held)) gone.push(held)
    if (gone.length > 0) options.onAbsent?.(gone.length, entries.size)
    for (const held of gone) {
      // it may have changed while others were removed
      if (entries.get(held.key) === held) remove(held, resourceVersion, true)
      await options.breathe?.()
    }
    if (rewound) positions.set(scope, resourceVersion)
    else advance(scope, resourceVersion)
    return { rewound, taken, gone: gone.length }
  }

  return {
    get: (key) => entries.get(key)?.value,
    entry: (key) => entries.get(key),
    *values() {
      for (const entry of entries.values()) yield entry.value
    },
    keys: () => entries.keys(),
    get size() {
      return entries.size
    },
    index(keysOf) {
      const terms = new Map<string, Set<string>>()
      for (const entry of entries.values()) for (const term of keysOf(entry.value)) put(terms, term, entry.key)
      indexes.push({ keysOf, terms })
      const none: ReadonlySet<string> = new Set()
      return (term) => terms.get(term) ?? none
    },
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    apply(entry) {
      if (entries.has(entry.key) ? !isNewer(entry) : !isAhead(positions.get(scopeOf(entry.key)), entry.resourceVersion)) return false
      set(entry)
      return true
    },
    observe(scope, entry) {
      if (entries.has(entry.key) ? isNewer(entry) : isAhead(positions.get(scope), entry.resourceVersion)) set(entry)
      advance(scope, entry.resourceVersion)
    },
    remove(scope, { metadata }) {
      const held = entries.get(keyOf(metadata))
      if (held !== undefined && compareVersions(held.resourceVersion, metadata.resourceVersion) <= 0) {
        remove(held, metadata.resourceVersion, false)
      }
      advance(scope, metadata.resourceVersion)
    },
    advance,
    snapshot(scope) {
      const list: Listed<T> = { scope, start: positions.get(scope), items: new Map(), unreadable: new Set(), deleted: new Map() }
      running.add(list)
      return {
        add: (entry) => void list.items.set(entry.key, entry),
        addUnreadable: (key) => void list.unreadable.add(key),
        drop(key) {
          list.items.delete(key)
          list.unreadable.delete(key)
        },
        commit: (resourceVersion, options = {}) => commit(list, resourceVersion, options).finally(() => running.delete(list)),
        abandon: () => void running.delete(list),
      }
    },
  }
}

interface Listed<T> {
  readonly scope: string
  /** the scope's position when the list was begun */
  readonly start: string | undefined
  readonly items: Map<string, Entry<T>>
  readonly unreadable: Set<string>
  /** versions of deletions since the list was begun, which it may not know of */
  readonly deleted: Map<string, string>
}

const inScope = (key: string, scope: string): boolean => scope === '' || key.startsWith(`${scope}/`)
const isAhead = (position: string | undefined, version: string): boolean => position === undefined || compareVersions(version, position) > 0

function put(terms: Map<string, Set<string>>, term: string, key: string): void {
  const keys = terms.get(term)
  if (keys === undefined) terms.set(term, new Set([key]))
  else keys.add(key)
}

function drop(terms: Map<string, Set<string>>, term: string, key: string): void {
  const keys = terms.get(term)
  keys?.delete(key)
  if (keys?.size === 0) terms.delete(term)
}
