// What was measured of the time from an end to the source's refusal, in Markdown: a table a type of provider, a row a way of ending.

import { ways } from './endings.ts'
import { machine } from './page.ts'
import type { Subject } from './subject.ts'

/** Milliseconds. */
export interface Measured {
  readonly type: string
  readonly way: string
  readonly times: readonly number[]
}

export interface Told {
  readonly type: string
  /** what the provider object promises */
  readonly revocation: { readonly class: string; readonly boundSeconds: number }
  /** mean of `taskbound_credential_overrun_seconds` in milliseconds, over so many */
  readonly overrun: { readonly mean: number; readonly count: number }
}

const quantile = (times: readonly number[], q: number): number =>
  [...times].sort((a, b) => a - b)[Math.min(times.length - 1, Math.ceil(q * times.length) - 1)] ?? Number.NaN
const mean = (times: readonly number[]): number => times.reduce((sum, time) => sum + time, 0) / times.length
const ms = (time: number): string => (time >= 100 ? time.toFixed(0) : time.toFixed(1))

export function revocationPage(
  subjects: readonly Pick<Subject, 'type' | 'server'>[],
  measured: readonly Measured[],
  told: readonly Told[],
): string {
  const table = ({ type, server }: (typeof subjects)[number]): readonly string[] => {
    const its = measured.filter((one) => one.type === type)
    const said = told.find((one) => one.type === type)
    const times = its.flatMap((one) => one.times)
    const { class: kind = '', boundSeconds = Number.NaN } = said?.revocation ?? {}
    const { mean: own = Number.NaN, count = 0 } = said?.overrun ?? {}
    return [
      `## ${type}`,
      '',
      `Asked: ${server}. Promised: \`${kind}\`, at most ${boundSeconds} s.`,
      '',
      '| what ended it | p50, ms | p99, ms | worst, ms |',
      '| --- | --- | --- | --- |',
      ...ways.map(({ what }) => {
        const found = its.find(({ way }) => way === what)?.times ?? []
        return `| ${what} | ${ms(quantile(found, 0.5))} | ${ms(quantile(found, 0.99))} | ${ms(Math.max(...found))} |`
      }),
      '',
      count === 0
        ? `Mean of all ${times.length}: ${ms(mean(times))} ms at the source; the operator counted none in \`taskbound_credential_overrun_seconds\`.`
        : `Mean of all ${times.length}: ${ms(mean(times))} ms at the source, and ${ms(own)} ms by \`taskbound_credential_overrun_seconds\`, over ${count}.`,
      '',
    ]
  }
  const count = Math.max(0, ...measured.map(({ times }) => times.length))
  return [
    '<!-- Written by `make measure-revocation` (test/bench/revocation.ts --write); do not edit. -->',
    '# Time to revoke',
    '',
    'How long after its end a credential still worked, in milliseconds. The source is asked by whoever would use the credential, again and',
    'again, and the clock stops when the first refusal has come back. It starts when the request that ends the task is sent, or at',
    '`status.deadlineTime`. So both ways to a server, and the look itself, are part of every number. The operator runs and knows of the end by',
    'its watch; what a crash adds is in the [crash matrix](crash-matrix.md).',
    '',
    '`taskbound_credential_overrun_seconds` is what the operator says itself, from what it saw to the confirmed revocation: it knows nothing of',
    'the time before it saw the end, and a source may refuse before it confirms. What was not ended for good counts from when it was decided.',
    '',
    `Each way ${count} times, all types at once, ${machine()}; the API server, etcd without fsync, the sources, the operator and what measures share it.`,
    '',
    ...[...subjects].sort((a, b) => a.type.localeCompare(b.type)).flatMap(table),
  ]
    .join('\n')
    .trimEnd()
    .concat('\n')
}
