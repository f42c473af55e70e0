// Turns Cedar's errors into sentences with a line and a column. Cedar counts bytes of UTF-8; people count lines and characters.

import type { DetailedError } from '@cedar-policy/cedar-wasm/nodejs'

/** One thing that is wrong with a text. Line and column start at 1; the column counts characters (code points), not bytes. */
export interface Problem {
  readonly line: number
  readonly column: number
  /** lower case, no final period, with what Cedar proposes */
  readonly text: string
}

export function place(text: string, byteOffset: number): { readonly line: number; readonly column: number } {
  const before = Buffer.from(text, 'utf8').subarray(0, byteOffset).toString('utf8').split('\n')
  return { line: before.length, column: [...(before[before.length - 1] ?? '')].length + 1 }
}

export function toProblem(text: string, error: DetailedError): Problem {
  const where = error.sourceLocations?.[0]
  const message = error.message
    .replace(/^failed to parse polic\w+(?: with id `[^`]*`)? from string: /, '')
    .replace(/^for policy `[^`]*`, /, '')
    // said once for each action that the policy speaks of
    .replace(/ in context for Taskbound::Action::"\w+"/, ' in `context`')
  const parts = [message, where?.label, error.help].filter((part): part is string => typeof part === 'string' && part !== '')
  return { ...place(text, where?.start ?? 0), text: parts.join(': ') }
}

/** Each once, in the order of the text. */
export function inOrder(problems: readonly Problem[]): readonly Problem[] {
  const once = new Map(problems.map((problem) => [`${problem.line} ${problem.column} ${problem.text}`, problem]))
  return [...once.values()].sort((a, b) => a.line - b.line || a.column - b.column)
}

/** `line 3, column 20: …`, the first of several with how many more there are. */
export function describe([first, ...rest]: readonly Problem[]): string {
  if (first === undefined) return ''
  const more = rest.length === 0 ? '' : ` (and ${rest.length} more)`
  return `line ${first.line}, column ${first.column}: ${first.text}${more}`
}
