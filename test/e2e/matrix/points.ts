// The awaits of the API server, which are the same for every type of provider, and how those of a source are written down.

import type { Call, TrapOptions } from '../../support/faults/gate.ts'
import type { OneTask, Point, Step } from './subject.ts'

type Named = (name: string, task: OneTask) => boolean
const anything: Named = () => true

const kube =
  (pattern: RegExp, named = anything) =>
  (task: OneTask) =>
  (call: Call): boolean =>
    call.to === 'kube' && call.task === task.name && pattern.test(call.what) && named(call.name ?? '', task)

const given: Named = (name, task) => name === `taskbound-${task.name}`
const status = kube(/^PATCH .*\/agenttasks\/[^/]+\/status$/)
const posted = kube(/^POST .*\/secrets$/, given)
const replaced = kube(/^PUT .*\/secrets\//, given)
const deleted = kube(/^DELETE .*\/secrets\//, given)
const row = kube(/^POST .*\/credentialleases$/)
const rowStatus = kube(/^PATCH .*\/credentialleases\/[^/]+\/status$/)
type Match = typeof status

const point = (step: Step, at: string, matches: Match, more: { readonly since?: Match; readonly nth?: number } = {}): Point => ({
  step,
  at,
  trap: (task) => ({
    matches: matches(task),
    nth: more.nth ?? 1,
    ...(more.since === undefined ? {} : { since: more.since(task) }),
  }),
})

/** Those of a type whose credentials exist only in the cluster. */
export const inside: readonly Point[] = [
  point('issue', 'the status with the intent', status),
  point('issue', 'the Secret', posted),
  point('issue', 'the status that says Active', status, { since: posted }),
  point('renew', 'the Secret', replaced),
  point('renew', 'the status', status, { since: replaced }),
  point('end', 'the deletion of the Secret', deleted),
  point('end', 'the last status', status, { since: deleted }),
]

/**
 * Those of a type that has rows, around its own.
 * @param closing which note in the row after the deletion of the Secret says that it is dead
 */
export function outside(own: readonly Point[], closing = 1): readonly Point[] {
  const of = (step: Step): readonly Point[] => own.filter((one) => one.step === step)
  return [
    point('issue', 'the status with the intent', status),
    point('issue', 'the row', row),
    ...of('issue'),
    point('issue', 'the Secret', posted),
    point('issue', 'the status that says Active', status, { since: posted }),
    point('issue', 'the row that says Issued', rowStatus, { since: posted }),
    ...of('renew'),
    point('renew', 'the Secret', replaced),
    point('renew', 'the status', status, { since: replaced }),
    point('renew', 'the row', rowStatus, { since: replaced }),
    point('end', 'the deletion of the Secret', deleted),
    ...of('end'),
    point('end', 'the row that says Revoked', rowStatus, { since: deleted, nth: closing }),
    point('end', 'the last status', status, { since: deleted }),
  ]
}

/** A note in the row, before what it notes is asked for. */
export const noted = (step: 'issue' | 'renew', at: string, nth: number): Point => point(step, at, rowStatus, { nth })

/** A note in the row that it dies, before it is dead. */
export const dying = (at: string): Point => point('end', at, rowStatus, { since: deleted })

/** A call to the API server about what belongs to a row and is called after it: its anchor, or what is kept. */
export const beside = (step: Step, at: string, pattern: RegExp, name: RegExp): Point =>
  point(
    step,
    at,
    kube(pattern, (its) => name.test(its)),
  )

/** What a source wants to see before it ends something: it is kept, or forgotten. */
export const kept = (step: Step): Point =>
  beside(step, step === 'end' ? 'the deletion of what is kept' : 'what is kept', /\/secrets(\/|$)/, /^taskbound-kept-/)

/** Any handle, where the task has none yet. */
const anyHandle = 'tb[a-z2-7]{36}'

interface Asked {
  readonly nth?: number
  /** another call to the same source that comes before */
  readonly since?: string
}

/**
 * A call to a source.
 * @param pattern of what a proxy calls it; `HANDLE` stands for any of the task
 */
export const source = (to: string, step: Step, at: string, pattern: string, { nth = 1, since }: Asked = {}): Point => ({
  step,
  at,
  trap(task): Omit<TrapOptions, 'when'> {
    const match =
      (text: string) =>
      (call: Call): boolean => {
        if (call.to !== to) return false
        const handles = step === 'issue' ? [] : task.handles()
        return new RegExp(text.replaceAll('HANDLE', `(?:${handles.length === 0 ? anyHandle : handles.join('|')})`)).test(call.what)
      }
    return { matches: match(pattern), nth, ...(since === undefined ? {} : { since: match(since) }) }
  },
})
