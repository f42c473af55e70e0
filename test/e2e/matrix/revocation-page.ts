// What was measured of the time from an end to the source's refusal, in Markdown: a table a type of provider, a row a way of ending.
// Of the types that nobody can end it says what is promised instead.

import { ways } from './endings.ts'
import { machine } from './page.ts'
import type { Source } from './subject.ts'
import { endless } from './subjects.ts'

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

const promised: Readonly<Record<string, readonly string[]>> = {
  aws: [
    'Not measured, since there is nothing to measure: AWS ends no session, so it works until it expires. Promised: `ExpireOnly`, at most the',
    "provider's `maxTTLSeconds`, of which the least is 960 s. At the end of a task its Secret goes at once, and its condition `Revoked` is False",
    'with the reason `ExpiresAt` and the time, until then ([more](../how-to/aws.md#what-aws-can-and-cannot-revoke)).',
  ],
  static: [
    'Not measured, since there is nothing to measure: the value was there before the task and works on after it. Promised: `ExpireOnly`, without',
    'a bound. At the end of a task its Secret goes at once, and its condition `Revoked` stays False with the reason `ValueRemains`; it is never',
    'called revoked ([more](../how-to/static.md)).',
  ],
}

export function revocationPage(
  sources: readonly Pick<Source, 'type' | 'server' | 'atMost'>[],
  measured: readonly Measured[],
  told: readonly Told[],
): string {
  const table = ({ type, server, atMost }: (typeof sources)[number]): readonly string[] => {
    const its = measured.filter((one) => one.type === type)
    const said = told.find((one) => one.type === type)
    const times = its.flatMap((one) => one.times)
    const often = Math.max(0, ...its.map((one) => one.times.length))
    const { class: kind = '', boundSeconds = Number.NaN } = said?.revocation ?? {}
    const { mean: own = Number.NaN, count = 0 } = said?.overrun ?? {}
    return [
      `## ${type}`,
      '',
      `Asked: ${server}. Promised: \`${kind}\`, at most ${boundSeconds} s. Each way ${often} times${often === atMost ? ', since each takes long' : ''}.`,
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
  const nothing = (type: string): readonly string[] => [`## ${type}`, '', ...(promised[type] ?? []), '']
  const sections = [
    ...sources.map((source) => ({ type: source.type, text: table(source) })),
    ...endless.map((type) => ({ type, text: nothing(type) })),
  ]
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
    `All types at once, ${machine()}; the API server, etcd without fsync, the sources, the operator and what measures share it.`,
    '',
    ...sections.sort((a, b) => a.type.localeCompare(b.type)).flatMap(({ text }) => text),
  ]
    .join('\n')
    .trimEnd()
    .concat('\n')
}
