// How an end-to-end test talks to the API server that the global set-up gave it: raw requests, kubectl, fresh namespaces.
// Must not go through the operator's own transport, so that a fault there cannot hide itself.
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { createRequester, type Endpoint, type Reply, type RequestOptions } from '../cluster/requester.ts'

export type { Reply, RequestOptions } from '../cluster/requester.ts'

export interface Ran {
  readonly stdout: string
  readonly stderr: string
  readonly code: number
}

export interface KubeTestClient {
  readonly kubeconfig: string
  readonly endpoint: Endpoint
  /** Any status is an answer; rejects only when no answer came. */
  request(method: string, path: string, body?: unknown, options?: RequestOptions): Promise<Reply>
  /** As `request`, but any status other than 2xx is an error that shows the server's message. Answers the body. */
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into whatever the server sent
  must(method: string, path: string, body?: unknown, options?: RequestOptions): Promise<any>
  kubectl(args: readonly string[], options?: { readonly stdin?: string }): Promise<Ran>
  /** Makes a Namespace of a name that no other test has and answers the name. It goes with the cluster, or call `close`. */
  freshNamespace(prefix: string, labels?: Readonly<Record<string, string>>): Promise<string>
  /** Deletes the namespaces it made, without waiting for their end, and closes its connections. */
  close(): Promise<void>
}

export interface ConnectOptions {
  /** Default: the environment's KUBECONFIG, which the global set-up sets. */
  readonly kubeconfig?: string
  /** Default: what the global set-up chose, else the one on the PATH. */
  readonly kubectl?: string
}

export function connect(options: ConnectOptions = {}): KubeTestClient {
  const kubeconfig = options.kubeconfig ?? process.env['KUBECONFIG']
  if (kubeconfig === undefined) throw new Error('no KUBECONFIG: the global set-up of the e2e project sets it (test/e2e/setup.ts)')
  const binary = options.kubectl ?? process.env['TASKBOUND_TEST_KUBECTL'] ?? 'kubectl'
  const endpoint = readEndpoint(kubeconfig)
  const requester = createRequester(endpoint)
  const made: string[] = []

  const client: KubeTestClient = {
    kubeconfig,
    endpoint,
    request: requester.request,
    must: async (method, path, body, more) => {
      const reply = await requester.request(method, path, body, more)
      if (reply.status >= 200 && reply.status < 300) return reply.body
      throw new Error(`${method} ${path}: ${reply.status} ${reply.body?.message ?? JSON.stringify(reply.body)}`)
    },
    kubectl: (args, more = {}) => run(binary, ['--kubeconfig', kubeconfig, ...args], more.stdin),
    freshNamespace: async (prefix, labels = {}) => {
      const name = `${prefix}-${randomBytes(4).toString('hex')}`
      await client.must('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } })
      made.push(name)
      return name
    },
    close: async () => {
      await Promise.all(made.map((name) => requester.request('DELETE', `/api/v1/namespaces/${name}`).catch(() => undefined)))
      requester.close()
    },
  }
  return client
}

export interface EventuallyOptions {
  /** Default 30 s: what takes a moment may take that on a machine that others use too. */
  readonly timeoutMs?: number
  /** Pause between two tries; default 50 ms. */
  readonly everyMs?: number
}

/** Calls until it neither throws nor rejects, and answers what it answered then. Out of time: the last error, with how long it was tried. */
export async function eventually<T>(attempt: () => T | Promise<T>, options: EventuallyOptions = {}): Promise<T> {
  const { timeoutMs = 30_000, everyMs = 50 } = options
  for (const begun = performance.now(); ; await sleep(everyMs)) {
    try {
      return await attempt()
    } catch (error) {
      if (performance.now() - begun < timeoutMs) continue
      if (error instanceof Error) error.message = `not within ${timeoutMs} ms: ${error.message}`
      throw error
    }
  }
}

interface Kubeconfig {
  readonly clusters: readonly { name: string; cluster: Readonly<Record<string, string>> }[]
  readonly users: readonly { name: string; user: Readonly<Record<string, string>> }[]
  readonly contexts: readonly { name: string; context: { cluster: string; user: string } }[]
  readonly 'current-context': string
}

/**
 * Reads a kubeconfig in JSON (which every kubeconfig of ours is, and what `kubectl config view --raw --flatten -o json` prints).
 * Client certificates and tokens are understood, credential plugins are not.
 */
function readEndpoint(path: string): Endpoint {
  const config = parseKubeconfig(path)
  const context = config.contexts.find((one) => one.name === config['current-context'])?.context
  const cluster = config.clusters.find((one) => one.name === context?.cluster)?.cluster
  const user = config.users.find((one) => one.name === context?.user)?.user ?? {}
  if (cluster?.['server'] === undefined) throw new Error(`\`${path}\` has no current context with a server`)
  const pem = (data: string | undefined) => (data === undefined ? undefined : Buffer.from(data, 'base64').toString())
  const ca = pem(cluster['certificate-authority-data'])
  const certificate = pem(user['client-certificate-data'])
  const key = pem(user['client-key-data'])
  const token = user['token']
  if (certificate === undefined && token === undefined) {
    throw new Error(
      `\`${path}\` names a user without a client certificate or token (plugins are not run): use a kubeconfig with one of them`,
    )
  }
  return {
    server: cluster['server'],
    ...(ca === undefined ? {} : { ca }),
    ...(certificate === undefined ? {} : { certificate }),
    ...(key === undefined ? {} : { key }),
    ...(token === undefined ? {} : { token }),
  }
}

function parseKubeconfig(path: string): Kubeconfig {
  const text = readFileSync(path, 'utf8')
  try {
    return JSON.parse(text) as Kubeconfig
  } catch {
    throw new Error(`\`${path}\` is not JSON: make it so with kubectl config view --raw --flatten --minify -o json`)
  }
}

/** Runs a program to its end; any exit code is an answer. */
export function run(file: string, args: readonly string[], stdin?: string): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: [stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'] })
    const out: Buffer[] = []
    const err: Buffer[] = []
    child.stdout?.on('data', (chunk: Buffer) => out.push(chunk))
    child.stderr?.on('data', (chunk: Buffer) => err.push(chunk))
    child.on('error', reject)
    child.on('close', (code) => resolve({ stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString(), code: code ?? -1 }))
    child.stdin?.on('error', () => {}) // it may exit without reading everything; its exit code says so
    child.stdin?.end(stdin)
  })
}
