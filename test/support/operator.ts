// Runs the operator from the checkout as a process of its own, as a test drives it: with signals, at free ports, its output kept.
// The operator is not helped in any way: it reads the same kubeconfig and the same flags as anybody's.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { resolve } from 'node:path'
import { eventually } from './cluster.ts'

const root = resolve(import.meta.dirname, '../..')

export interface OperatorOptions {
  readonly kubeconfig: string
  /** further flags, for example `--policy-settle-seconds=1` */
  readonly flags?: readonly string[]
  /** modules loaded before the operator, paths from the checkout: fault points, a faster clock */
  readonly preload?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** port of the issuer, to start again where a former one was, since it is part of the tokens; default a free one */
  readonly issuerPort?: number
  /** the issuer of the tokens, where it is another replica's address; default its own */
  readonly issuerUrl?: string
  readonly replica?: string
}

export interface RunningOperator {
  readonly process: ChildProcess
  /** `https://127.0.0.1:<port>`, or what it was told */
  readonly issuer: string
  readonly issuerPort: number
  readonly health: string
  readonly metrics: string
  /** audit lines so far, parsed */
  audit(): readonly Readonly<Record<string, unknown>>[]
  /** everything that it wrote so far, both streams */
  output(): string
  /** Resolves once it leads and has taken over. */
  active(): Promise<void>
  signal(signal: NodeJS.Signals): void
  /** Resolves when it has ended, with the signal that ended it. */
  died(): Promise<NodeJS.Signals | null>
  /** SIGTERM by default; answers the exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>
}

export async function startOperator(options: OperatorOptions): Promise<RunningOperator> {
  const [free = 0, healthPort = 0, metricsPort = 0] = await freePorts(3)
  const issuerPort = options.issuerPort ?? free
  const issuer = options.issuerUrl ?? `https://127.0.0.1:${issuerPort}`
  const preload = (options.preload ?? []).flatMap((file) => ['--import', resolve(root, file)])
  const child = spawn(
    resolve(root, 'node_modules/.bin/node'),
    [
      ...preload,
      resolve(root, 'src/main.ts'),
      ...[`--kubeconfig=${options.kubeconfig}`, `--issuer-url=${issuer}`, `--issuer-listen=127.0.0.1:${issuerPort}`],
      ...[`--health-listen=127.0.0.1:${healthPort}`, `--metrics-listen=127.0.0.1:${metricsPort}`],
      ...(options.replica === undefined ? [] : [`--replica=${options.replica}`]),
      ...(options.flags ?? []),
    ],
    {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', ...options.env },
    },
  )
  const texts = { out: '', err: '' }
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    texts.out += chunk
  })
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    texts.err += chunk
  })
  const gone = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>
  return {
    process: child,
    issuer,
    issuerPort,
    health: `http://127.0.0.1:${healthPort}`,
    metrics: `http://127.0.0.1:${metricsPort}`,
    audit: () => texts.out.split('\n').flatMap((line) => (line.endsWith('}') ? [JSON.parse(line) as Record<string, unknown>] : [])),
    output: () => texts.out + texts.err,
    async active() {
      await eventually(
        () => {
          if (child.exitCode !== null || child.signalCode !== null) throw new Error(`the operator ended:\n${texts.err}`)
          if (!texts.err.includes('"took over"')) throw new Error(`the operator did not take over yet:\n${texts.err}`)
        },
        { timeoutMs: 40_000 },
      )
    },
    signal: (signal) => void child.kill(signal),
    died: async () => (await gone)[1],
    async stop(signal = 'SIGTERM') {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill(signal)
        // a stopped process takes SIGTERM only once it goes on
        child.kill('SIGCONT')
      }
      const [code] = await gone
      return code
    },
  }
}

async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return ports
}
