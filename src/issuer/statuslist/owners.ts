// Which places are live on which task, as the stores show it. Knows nothing of lists, leaders or time.

import type { Uid } from '../../core/names.ts'
import type { StatusRef } from '../../ports/signer.ts'

export interface Owners {
  /** Replaces what this task holds; answers the difference. */
  set(task: Uid, refs: readonly StatusRef[]): { readonly added: readonly StatusRef[]; readonly dropped: readonly StatusRef[] }
  has(uri: string, index: number): boolean
  /** places of one list that are live on some task */
  of(uri: string): Iterable<number>
  count(uri: string): number
}

export function createOwners(): Owners {
  const byTask = new Map<Uid, readonly StatusRef[]>()
  const byList = new Map<string, Map<number, Uid>>()
  const ownerOf = (ref: StatusRef): Uid | undefined => byList.get(ref.uri)?.get(ref.index)

  function remove(ref: StatusRef): void {
    const list = byList.get(ref.uri)
    list?.delete(ref.index)
    if (list?.size === 0) byList.delete(ref.uri)
  }

  function add(ref: StatusRef, task: Uid): void {
    const list = byList.get(ref.uri) ?? new Map<number, Uid>()
    list.set(ref.index, task)
    byList.set(ref.uri, list)
  }

  return {
    set(task, refs) {
      const before = byTask.get(task) ?? []
      const among = (ref: StatusRef, others: readonly StatusRef[]) => others.some((o) => o.uri === ref.uri && o.index === ref.index)
      const added = refs.filter((ref) => !among(ref, before))
      const dropped = before.filter((ref) => !among(ref, refs) && ownerOf(ref) === task)
      for (const ref of dropped) remove(ref)
      for (const ref of added) add(ref, task)
      if (refs.length === 0) byTask.delete(task)
      else byTask.set(task, refs)
      return { added, dropped }
    },
    has: (uri, index) => byList.get(uri)?.has(index) ?? false,
    of: (uri) => byList.get(uri)?.keys() ?? [],
    count: (uri) => byList.get(uri)?.size ?? 0,
  }
}
