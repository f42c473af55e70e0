// The table of the benchmark, in Markdown: medians of the runs, with the least and the greatest in parentheses where there were several.

import { arch, availableParallelism, cpus, platform, totalmem } from 'node:os'
import { median, type Spread } from './driver.ts'
import type { Figures, Workload } from './workloads.ts'

export const contestants = ['bare client', 'naive operator', 'Taskbound'] as const
export type Who = (typeof contestants)[number]

/** For one life over all loads; `undefined` where it has no process of its own. */
export interface Cost {
  readonly cpu: number | undefined
  /** of the driver meanwhile, in which the bare client runs */
  readonly driverCpu: number
  readonly rssMb: number | undefined
  readonly writes: number | undefined
  readonly reads: number | undefined
}

/** Of one run: the contestants beside each other. */
export interface Run {
  readonly lives: ReadonlyMap<string, Readonly<Record<Who, Figures>>>
  readonly endsInBurst: Readonly<Record<Who, Spread>>
  readonly cost: Readonly<Record<Who, Cost>>
  readonly restart: { readonly ms: number; readonly writes: number; readonly reads: number; readonly rssMb: number }
  /** every live task judged again where nothing comes of it, and then forbidden */
  readonly policy: { readonly ms: number; readonly cpu: number; readonly writes: number; readonly forbidden: Spread }
}

export interface Sizes {
  readonly workloads: readonly Workload[]
  readonly burst: number
  readonly converged: number
  readonly command: string
  /** with versions */
  readonly controlPlane: string
  /** of the operator */
  readonly nodeOptions: string
}

const round = (n: number): string => (n >= 100 ? n.toFixed(0) : n >= 10 ? n.toFixed(1) : n.toFixed(2))

const machine = (): string =>
  `${platform()} ${arch()}, ${availableParallelism()} cores (${cpus()[0]?.model.trim() || 'of an unknown model'}), ${Math.round(totalmem() / 2 ** 30)} GiB`

export function render(runs: readonly Run[], { workloads, burst, converged, command, controlPlane, nodeOptions }: Sizes): string {
  const over = (of: (run: Run) => number | undefined): string => {
    const values = runs.map(of).filter((value) => value !== undefined)
    if (values.length === 0) return ''
    const middle = round(median(values))
    return runs.length === 1 ? middle : `${middle} (${round(Math.min(...values))}-${round(Math.max(...values))})`
  }
  const table = (who: string, cells: readonly string[]): string => `| ${who} | ${cells.join(' | ')} |`

  const rows = workloads.flatMap(({ name, load }) => {
    const of = (who: Who, read: (figures: Figures) => number) => (run: Run) => {
      const all = run.lives.get(name)
      return all === undefined ? Number.NaN : read(all[who])
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
    // in a burst the bare client creates no faster than it finishes, while an operator has a queue: only the rates can be compared
    const comparable = (i: number): boolean => load === 'alone' || 'rate' in load || i % 4 === 3
    /** The median of what each run says of itself, since the machine is not the same from one run to the next. */
    const ratio = (read: (figures: Figures) => number): string => over((run) => of('Taskbound', read)(run) / of('bare client', read)(run))
    return [
      ...contestants.map((who) =>
        table(
          `${name} | ${who}`,
          columns.map((read) => over(of(who, read))),
        ),
      ),
      table(
        `${name} | Taskbound / bare client`,
        columns.map((read, i) => (comparable(i) ? ratio(read) : '')),
      ),
    ]
  })
  const cells = (read: (run: Run) => Spread): string[] =>
    [(s: Spread) => s.p50, (s: Spread) => s.p99, (s: Spread) => s.max].map((of) => over((run) => of(read(run))))
  const perThousand = (value: number | undefined): number | undefined => (value === undefined ? undefined : value * 1000)
  const costs = contestants.map((who) =>
    table(
      who,
      [
        ({ cpu }: Cost) => perThousand(cpu),
        ({ driverCpu }: Cost) => perThousand(driverCpu),
        ({ rssMb }: Cost) => rssMb,
        ({ writes }: Cost) => writes,
        ({ reads }: Cost) => reads,
      ].map((read) => over((run) => read(run.cost[who]))),
    ),
  )

  return `<!-- Written by \`make bench\` with --write; do not edit. -->
# Benchmark

\`${command}\` on ${machine()}, all of it shared by the API server, etcd, the driver and the contestant. ${controlPlane}; Node
${process.version}, the operator with \`${nodeOptions}\`. ${runs.length === 1 ? 'One run' : `Medians of ${runs.length} runs, with the least and the greatest`}, in which the contestants took turns.

All make the same five writes a life, with the same bodies, as the same user under the same admission policies. The bare client decides, signs
and watches nothing. The naive operator neither decides nor signs either; it is written as the examples of \`@kubernetes/client-node\` have it,
with \`makeInformer\` and the generated API. Taskbound judges each task by 100 policies. Times are in milliseconds, from the answer to the
create, or to the patch that ends the task, until the driver's own watch shows the Secret, or shows it gone.

${workloads.map(({ name, count }) => `- ${name}: ${count} tasks`).join('\n')}

In the burst a create is answered long before its turn comes, so the times of the operators are those of their queues; the bare client has none.

| load | who | to Secret p50 | p99 | max | a second | to Secret gone p50 | p99 | max | a second |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
${rows.join('\n')}

Ten single ends a second while ${burst} other tasks are created, 16 in flight:

| who | to Secret gone p50 | p99 | max |
| --- | --- | --- | --- |
${contestants
  .map((who) =>
    table(
      who,
      cells((run) => run.endsInBurst[who]),
    ),
  )
  .join('\n')}

What the lives of all loads cost. The bare client runs in the driver:

| who | CPU seconds for 1,000 lives | of the driver meanwhile | resident memory after them, MB | API writes a life | API reads a life |
| --- | --- | --- | --- | --- | --- |
${costs.join('\n')}

Taskbound with ${converged} live tasks:

| | |
| --- | --- |
| restart: from the start of the process to active, ms | ${over((run) => run.restart.ms)} |
| its API writes about tasks | ${over((run) => run.restart.writes)} |
| its API reads of tasks | ${over((run) => run.restart.reads)} |
| its resident memory, MB | ${over((run) => run.restart.rssMb)} |
| a policy is added that allows none of them: until all are judged again, ms | ${over((run) => run.policy.ms)} |
| its CPU, ms | ${over((run) => run.policy.cpu * 1000)} |
| its API writes about tasks | ${over((run) => run.policy.writes)} |
| a policy is added that forbids all of them: until a Secret is gone, p50, p99, max, ms | ${cells((run) => run.policy.forbidden).join(', ')} |
`
}
