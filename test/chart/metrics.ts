// What metrics there are, by the generated reference, and what an expression asks for. For tests of alerts and dashboards.

import { readFileSync } from 'node:fs'
import { root } from '../generate.ts'

const rows = [...readFileSync(`${root}docs/reference/metrics.md`, 'utf8').matchAll(/^\| `(taskbound_\w+)` \| (\w+) \| (.*?) \|/gm)]

/** Every series by name, with its labels. */
export const metrics: ReadonlyMap<string, readonly string[]> = new Map(
  rows.flatMap(([, name = '', type = '', labels = '']) => {
    const known = [...labels.matchAll(/`(\w+)`/g)].map(([, label = '']) => label)
    const names = type === 'histogram' ? ['_bucket', '_count', '_sum'].map((suffix) => name + suffix) : [name]
    return names.map((series) => [series, series.endsWith('_bucket') ? [...known, 'le'] : known] as const)
  }),
)

export interface Matcher {
  readonly label: string
  readonly value: string
}

/** Every selector of an expression: a metric and its matchers. */
export const selectorsOf = (expr: string): readonly { readonly metric: string; readonly matchers: readonly Matcher[] }[] =>
  [...expr.matchAll(/\b(taskbound_\w+)(?:\{([^}]*)\})?/g)].map(([, metric = '', inside = '']) => ({
    metric,
    matchers: [...inside.matchAll(/(\w+)(=~|=)"([^"]*)"/g)].map(([, label = '', , value = '']) => ({ label, value })),
  }))

/** The labels that an expression groups by. */
export const groupedBy = (expr: string): readonly string[] =>
  [...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(/, */)).filter((label) => label !== 'le')
