// The table of the benchmark, in Markdown: medians of the runs, with the least and the greatest in parentheses where there were several.

import { availableParallelism } from 'node:os'
import { median, type Spread } from './driver.ts'
import type { Figures, Workload } from './workloads.ts'

/** Of one run: the floor and the operator beside each other. */
export interface Run {
  readonly lives: ReadonlyMap<string, { readonly floor: Figures; readonly taskbound: Figures }>
  readonly endsInBurst: { readonly floor: Spread; readonly taskbound: Spread }
  readonly life: { readonly cpuPer1000: number; readonly rssMb: number; readonly writes: number; readonly reads: number }
  readonly restart: { readonly ms: number; readonly writes: number; readonly reads: number; readonly rssMb: number }
}

export interface Sizes {
  readonly workloads: readonly Workload[]
  readonly burst: number
  readonly converged: number
  readonly command: string
}

const round = (n: number): string => (n >= 100 ? n.toFixed(0) : n >= 10 ? n.toFixed(1) : n.toFixed(2))

export function render(runs: readonly Run[], { workloads, burst, converged, command }: Sizes): string {
  const over = (of: (run: Run) => number): string => {
    const values = runs.map(of)
    const middle = round(median(values))
    return runs.length === 1 ? middle : `${middle} (${round(Math.min(...values))}-${round(Math.max(...values))})`
  }
  /** The median of what each run says of itself, since the machine is not the same from one run to the next. */
  const ratio = (floor: (run: Run) => number, taskbound: (run: Run) => number): string => over((run) => taskbound(run) / floor(run))

  const rows = workloads.flatMap(({ name, load }) => {
    const of = (who: 'floor' | 'taskbound', read: (figures: Figures) => number) => (run: Run) => {
      const both = run.lives.get(name)
      return both === undefined ? Number.NaN : read(both[who])
    }
    const columns: readonly ((figures: Figures) => number)[] = [
      (f) => f.secret.p50,
      (f) => f.secret.p99,
      (f) => f.secret.max,
      (f) => f.secretsPerSecond,
      (f) => f.gone.p50,
      (f) => f.gone.p99,
      (f) => f.gone.max,
      (f) => f.gonePerSecond,
    ]
    const row = (who: string, cells: readonly string[]): string => `| ${name} | ${who} | ${cells.join(' | ')} |`
    // in a burst the bare client creates no faster than it finishes, while the operator has a queue: only the rates can be compared
    const comparable = (i: number): boolean => typeof load !== 'object' || 'rate' in load || i % 4 === 3
    return [
      row(
        'bare client',
        columns.map((read) => over(of('floor', read))),
      ),
      row(
        'Taskbound',
        columns.map((read) => over(of('taskbound', read))),
      ),
      row(
        'ratio',
        columns.map((read, i) => (comparable(i) ? ratio(of('floor', read), of('taskbound', read)) : '')),
      ),
    ]
  })
  const single = (who: 'floor' | 'taskbound'): string =>
    [(s: Spread) => s.p50, (s: Spread) => s.p99, (s: Spread) => s.max].map((read) => over((run) => read(run.endsInBurst[who]))).join(' | ')

  return `<!-- Written by \`make bench\` with --write; do not edit. -->
# Benchmark

\`${command}\`, Node ${process.version}, ${availableParallelism()} cores shared by the API server, etcd (without fsync), the driver and the operator.
${runs.length === 1 ? 'One run' : `Medians of ${runs.length} runs, with the least and the greatest`}, in which the contestants took turns. The bare client makes the same five writes a life, with the
same bodies, as the same user under the same admission policies; it decides, signs and watches nothing. Times are in milliseconds, from the answer to the create, or to
the patch that ends the task, until the driver's own watch shows the Secret, or shows it gone. 100 policies are in force.

${workloads.map(({ name, count }) => `- ${name}: ${count} tasks`).join('\n')}

In the burst a create is answered long before its turn comes, so the operator's times are those of its queue; the bare client has none.

| load | who | to Secret p50 | p99 | max | a second | to Secret gone p50 | p99 | max | a second |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
${rows.join('\n')}

Ten single ends a second while ${burst} other tasks are created, 16 in flight:

| who | to Secret gone p50 | p99 | max |
| --- | --- | --- | --- |
| bare client | ${single('floor')} |
| Taskbound | ${single('taskbound')} |

| of the operator | |
| --- | --- |
| API writes a life | ${over((run) => run.life.writes)} |
| API reads a life | ${over((run) => run.life.reads)} |
| CPU seconds for 1,000 lives | ${over((run) => run.life.cpuPer1000)} |
| resident memory after all loads, MB | ${over((run) => run.life.rssMb)} |
| restart with ${converged} live tasks: from the start of the process to active, ms | ${over((run) => run.restart.ms)} |
| its API writes about tasks | ${over((run) => run.restart.writes)} |
| its API reads of tasks | ${over((run) => run.restart.reads)} |
| its resident memory, MB | ${over((run) => run.restart.rssMb)} |
`
}
