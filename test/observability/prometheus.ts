// A real Prometheus and its promtool, from the PATH or from the folder that TASKBOUND_PROMETHEUS names. Where there is none, tests fail and
// say what to do: a level that skips itself proves nothing.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { stringify } from 'yaml'
import { freePort } from '../cluster/start.ts'
import { eventually } from '../support/cluster.ts'

function find(name: 'prometheus' | 'promtool'): string {
  const given = process.env['TASKBOUND_PROMETHEUS']
  const folders = given === undefined || given === '' ? (process.env['PATH'] ?? '').split(delimiter) : [given]
  const found = folders.map((folder) => join(folder, name)).find(existsSync)
  if (found !== undefined) return found
  throw new Error(`no \`${name}\`: run \`make packages\`, or set TASKBOUND_PROMETHEUS to a folder that has prometheus and promtool`)
}

/** Runs promtool. @returns its exit code and all that it wrote */
export async function promtool(args: readonly string[], stdin = ''): Promise<{ readonly code: number | null; readonly output: string }> {
  const child = spawn(find('promtool'), args, { stdio: ['pipe', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk
    })
  }
  child.stdin.end(stdin)
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, output }
}

export interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface RuleGroup {
  readonly rules: readonly { readonly name: string; readonly health: string; readonly state: string; readonly lastError?: string }[]
}

export interface Prometheus {
  /** An instant query; throws where it is refused. */
  query(expr: string): Promise<readonly Sample[]>
  rules(): Promise<readonly RuleGroup[]>
  /** Resolves once every target was scraped, and so often by then. */
  scraped(times: number): Promise<void>
  stop(): Promise<void>
}

export interface Target {
  readonly job: string
  readonly path: string
  /** `host:port` */
  readonly addresses: readonly string[]
}

/** Scrapes and evaluates every second. @param ruleFiles paths of files with rules */
export async function startPrometheus(targets: readonly Target[], ruleFiles: readonly string[]): Promise<Prometheus> {
  const binary = find('prometheus')
  const dir = await mkdtemp(join(tmpdir(), 'taskbound-prometheus-'))
  const port = await freePort()
  const config = {
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: ruleFiles,
    scrape_configs: targets.map(({ job, path, addresses }) => ({
      job_name: `${job}${path}`,
      metrics_path: path,
      honor_labels: true,
      static_configs: [{ targets: addresses }],
      relabel_configs: [
        { target_label: 'job', replacement: job },
        { source_labels: ['__metrics_path__'], target_label: 'metrics_path' },
      ],
    })),
  }
  await writeFile(join(dir, 'prometheus.yml'), stringify(config))
  const child = spawn(
    binary,
    [
      `--config.file=${dir}/prometheus.yml`,
      `--storage.tsdb.path=${dir}/data`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=warn',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    errors += chunk
  })
  const base = `http://127.0.0.1:${port}`
  const ask = async (path: string, parameters: Readonly<Record<string, string>> = {}) => {
    const answer = await fetch(`${base}/api/v1/${path}`, { method: 'POST', body: new URLSearchParams(parameters) })
    const body = (await answer.json()) as { status: string; error?: string; data: never }
    if (body.status !== 'success') throw new Error(`${JSON.stringify(parameters)}: ${body.error}`)
    return body.data
  }
  const query = async (expr: string): Promise<readonly Sample[]> => {
    const { resultType, result } = (await ask('query', { query: expr })) as {
      resultType: string
      result: { metric: Record<string, string>; value: [number, string] }[]
    }
    if (resultType !== 'vector') throw new Error(`${expr} is a ${resultType}`)
    return result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1].replace('Inf', 'Infinity')) }))
  }
  await eventually(
    async () => {
      if (child.exitCode !== null) throw new Error(`Prometheus ended: ${errors}`)
      if (!(await fetch(`${base}/-/ready`)).ok) throw new Error('Prometheus is not ready')
    },
    { timeoutMs: 30_000 },
  )
  const wanted = targets.reduce((sum, { addresses }) => sum + addresses.length, 0)
  return {
    query,
    rules: async () => {
      const answer = await fetch(`${base}/api/v1/rules`)
      return ((await answer.json()) as { data: { groups: RuleGroup[] } }).data.groups
    },
    scraped: (times) =>
      eventually(
        async () => {
          const counts = await query('sum_over_time(up[5m])')
          const short = counts.filter(({ value }) => value < times).length
          if (counts.length < wanted || short > 0)
            throw new Error(`${counts.length - short} of ${wanted} targets were scraped ${times} times`)
        },
        { timeoutMs: 30_000, everyMs: 200 },
      ),
    stop: async () => {
      await end(child)
      await rm(dir, { recursive: true, force: true })
    },
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill()
  await once(child, 'exit')
}
