// The crash matrix in Markdown: a table a type of provider, a row an await, a column a fault.

import { execFileSync } from 'node:child_process'
import { cpus } from 'node:os'
import { type Fault, faults, type Result } from './round.ts'
import type { Subject } from './subject.ts'

const columns: Readonly<Record<Fault, string>> = {
  'killed before': 'killed before it is sent',
  'killed after': 'killed after it was done',
  lost: 'its reply lost',
  paused: 'stopped before it, another leads',
}

/** On what it ran, as a sentence. */
export const machine = (): string =>
  `${cpus().length} cores (${cpus()[0]?.model.trim() ?? ''}), Node ${process.versions.node}, ${execFileSync('uname', ['-sr'], { encoding: 'utf8' }).trim()}`

export function crashPage(subjects: readonly Pick<Subject, 'type' | 'server' | 'points'>[], results: readonly Result[]): string {
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
    '',
    `Run on ${machine()}, all types at once.`,
    '',
    ...[...subjects].sort((a, b) => a.type.localeCompare(b.type)).flatMap(table),
  ]
    .join('\n')
    .trimEnd()
    .concat('\n')
}
