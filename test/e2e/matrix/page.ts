// The crash matrix in Markdown: a table a type of provider, a row an await, a column a fault. For a type that a test of
// its own kills, a row a fault, and why it is killed apart.

import { execFileSync } from 'node:child_process'
import { cpus } from 'node:os'
import type { Kills } from '../support/kills.ts'
import { type Fault, faults, type Result } from './round.ts'
import type { Subject } from './subject.ts'
import { neverKilled } from './subjects.ts'

const columns: Readonly<Record<Fault, string>> = {
  'killed before': 'killed before it is sent',
  'killed after': 'killed after it was done',
  lost: 'its reply lost',
  paused: 'stopped before it, another leads',
}

/** Why a type is not killed beside the others. */
const apart: Readonly<Record<string, readonly string[]>> = {
  aws: [
    'AWS ends no session: one whose answer was lost lives on to its expiry, the row waits for that and says so, and another is made at once. So',
    'a crash, or any end, leaves behind at most what expires by itself, and what is looked at here is the lost answer alone.',
  ],
  static: [
    'Not killed: at the source nothing is made and nothing is ended, so there is nothing that a crash could leave behind. The value is there',
    'before the task and works on after it, and the row says so.',
  ],
}

/** On what it ran, as a sentence. */
export const machine = (): string =>
  `${cpus().length} cores (${cpus()[0]?.model.trim() ?? ''}), Node ${process.versions.node}, ${execFileSync('uname', ['-sr'], { encoding: 'utf8' }).trim()}`

/** @param kills of the types that tests of their own kill, and of those that nobody does; `undefined` where nothing was run */
export function crashPage(
  subjects: readonly Pick<Subject, 'type' | 'server' | 'points'>[],
  results: readonly Result[],
  kills: ReadonlyMap<string, Kills | undefined>,
): string {
  const said = (type: string, step: string, at: string, fault: Fault): string =>
    results.find((one) => one.type === type && one.step === step && one.at === at && one.fault === fault)?.found ?? 'not run'
  const table = ({ type, server, points }: (typeof subjects)[number]): readonly string[] => [
    `## ${type}`,
    '',
    `Asked: ${server}.`,
    '',
    `| step | await | ${faults.map((fault) => columns[fault]).join(' | ')} |`,
    `| --- | --- | ${faults.map(() => '---').join(' | ')} |`,
    ...points.map(({ step, at }) => `| ${step} | ${at} | ${faults.map((fault) => said(type, step, at, fault)).join(' | ')} |`),
    '',
  ]
  const rows = ({ server, results: found }: Kills): readonly string[] => [
    `Asked: ${server}.`,
    '',
    '| step | await | fault | found |',
    '| --- | --- | --- | --- |',
    ...found.map(({ step, at, fault, found: what }) => `| ${step} | ${at} | ${columns[fault]} | ${what} |`),
    '',
  ]
  const own = ([type, its]: readonly [string, Kills | undefined]): readonly string[] => [
    `## ${type}`,
    '',
    ...(apart[type] ?? []),
    '',
    ...(neverKilled.includes(type) ? [] : its === undefined ? ['not run', ''] : rows(its)),
  ]
  const sections = [
    ...subjects.map((subject) => ({ type: subject.type, text: table(subject) })),
    ...[...kills].map((one) => ({ type: one[0], text: own(one) })),
  ]
  return [
    '<!-- Written by `make measure-crashes` (test/bench/crashes.ts --write); do not edit. -->',
    '# Crash matrix',
    '',
    'At every call at which the operator waits for somebody, while it issues, renews or ends a credential, it was killed (SIGKILL) before the',
    'call was sent, killed after the other side had acted, or lost the reply; or it was stopped there for twice the term of its leadership,',
    'while another replica led, and then went on with exactly that call. After each, once things had settled, the *server* was asked, and not',
    "the operator's own word taken: what is alive there must be what the Secrets of live tasks hold, one for each task, and nothing else; and",
    'when the task had ended, nothing. A row that did not pass would not be here: the run would have failed.',
    '',
    '"live, attempt 2, 2 rows": the task has a credential that works, of its second attempt, and the ledger has two rows, of which one is dead.',
    '"then dead": it ended, what it was given works no more, and the server has nothing alive.',
    '"1 open until what nobody holds expires": the answer that brought a token was, or may have been, lost. Who has none cannot end it; its row says',
    'until when it may live, and the server has nothing alive but one such token for each such row.',
    '',
    'The types whose table has a column for each fault are killed so, all at once. Each of the others says why it is killed apart, or not at all,',
    'and its rows are all that was done to it.',
    '',
    `Run on ${machine()}.`,
    '',
    ...sections.sort((a, b) => a.type.localeCompare(b.type)).flatMap(({ text }) => text),
  ]
    .join('\n')
    .trimEnd()
    .concat('\n')
}
