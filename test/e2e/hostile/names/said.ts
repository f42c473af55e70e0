// What is said of objects by the operator, and what a task has of it.

import { eventually } from '../../../support/cluster.ts'
import { decode, type Fields } from '../../matrix/subject.ts'
import type { Scenario } from '../../support/scenario.ts'

export type Ready = { readonly status: string; readonly reason: string; readonly message: string }
type Found = {
  readonly metadata: { readonly name: string }
  readonly status?: { readonly conditions?: readonly (Ready & { type: string })[] }
}
const nothing: Ready = { status: '', reason: '', message: '' }

export const saidOf = ({ kube, path }: Scenario) => ({
  /** `Ready` of each of these, once something is said of all. @param hoped the reason that is waited for */
  ready: (home: string, names: readonly string[], hoped?: string): Promise<readonly Ready[]> =>
    eventually(
      async () => {
        const found = new Map<string, Ready>()
        for (const { metadata, status } of (await kube.must('GET', home)).items as readonly Found[])
          for (const one of status?.conditions ?? []) if (one.type === 'Ready') found.set(metadata.name, one)
        const all = names.map((name) => found.get(name) ?? nothing)
        const open = all.findIndex(({ status, reason, message }) =>
          hoped === undefined ? status !== 'True' && message === '' : reason !== hoped,
        )
        if (open >= 0) throw new Error(`${names[open]} is ${all[open]?.reason}: ${all[open]?.message}`)
        return all
      },
      { timeoutMs: 120_000, everyMs: 200 },
    ),
  /** What the Secret of a task holds. */
  async given(task: string): Promise<Fields> {
    const { data } = await kube.must('GET', path('secrets', `taskbound-${task}`))
    return decode(data)
  },
})
