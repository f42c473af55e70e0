// A real Vault for tests, over TLS, in memory and unsealed, on a free port of loopback. It ends with the process that started it, however
// that ends.

import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { Agent, request } from 'node:https'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { freePort } from '../../cluster/start.ts'
import { startSupervisor } from '../../cluster/supervise.ts'
import { ensureVault } from '../../tools/vault/build.ts'
import { eventually } from '../cluster.ts'

const run = promisify(execFile)
export type Json = Record<string, unknown>

export interface Vault {
  readonly port: number
  /** `https://localhost:<port>` */
  readonly address: string
  /** PEM of the authority that signed its certificate */
  readonly ca: string
  readonly folder: string
  /** A call as root. Rejects unless it answers 2xx. */
  ask(method: string, path: string, body?: Json): Promise<Json>
  /** The same with any token, or none; whatever is answered. */
  call(token: string | undefined, method: string, path: string, body?: Json): Promise<{ readonly status: number; readonly body: Json }>
  /** Runs commands of the how-to page as an administrator would, in a folder of files. */
  shell(commands: string, variables?: Readonly<Record<string, string>>, files?: Readonly<Record<string, string>>): Promise<string>
  /** Accessors of all tokens whose metadata holds a handle, with the handle. */
  logins(): Promise<readonly { readonly accessor: string; readonly handle: string; readonly ttl: number }[]>
  /** Ids of all leases of one path. */
  leases(path: string): Promise<readonly string[]>
  /** everything that it logged, and its audit log */
  log(): string
  unseal(): Promise<void>
  stop(): Promise<void>
}

const root = 'root-of-tests'

export async function startVault(): Promise<Vault> {
  const binary = await ensureVault(process.env)
  const folder = await mkdtemp(join(tmpdir(), 'taskbound-vault-'))
  const port = await freePort()
  const supervisor = await startSupervisor(folder, false)
  await supervisor.start('vault', binary, [
    ...['server', '-dev-tls', `-dev-root-token-id=${root}`, `-dev-listen-address=127.0.0.1:${port}`, `-dev-tls-cert-dir=${folder}`],
    ...['-dev-tls-san=localhost', '-dev-no-store-token', '-log-level=debug'],
  ])
  const address = `https://localhost:${port}`
  const authority = join(folder, 'vault-ca.pem')
  const log = (): string =>
    ['vault.log', 'audit.log'].map((name) => (existsSync(join(folder, name)) ? readFileSync(join(folder, name), 'utf8') : '')).join('')
  await eventually(() => void readFileSync(authority), { timeoutMs: 30_000, everyMs: 50 })
  const ca = readFileSync(authority, 'utf8')
  const agent = new Agent({ ca, keepAlive: false })

  const call: Vault['call'] = (token, method, path, body) =>
    new Promise((done, failed) => {
      const headers = { 'x-vault-request': 'true', ...(token === undefined ? {} : { 'x-vault-token': token }) }
      const sending = request(`${address}/v1/${path}`, { method, agent, headers }, async (answer) => {
        const text = (await answer.toArray()).join('')
        done({ status: answer.statusCode ?? 0, body: text === '' ? {} : (JSON.parse(text) as Json) })
      })
      sending.on('error', failed)
      sending.end(body === undefined ? undefined : JSON.stringify(body))
    })
  const ask: Vault['ask'] = async (method, path, body) => {
    const answer = await call(root, method, path, body)
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`)
    return answer.body
  }
  const keysOf = async (path: string): Promise<readonly string[]> => {
    const { status, body } = await call(root, 'LIST', path)
    return status === 200 ? ((body['data'] as Json)['keys'] as string[]) : []
  }

  await eventually(() => ask('GET', 'sys/health'), { timeoutMs: 30_000, everyMs: 50 })
  await ask('PUT', 'sys/audit/file', { type: 'file', options: { file_path: join(folder, 'audit.log') } })

  return {
    port,
    address,
    ca,
    folder,
    ask,
    call,
    async shell(commands, variables = {}, files = {}) {
      for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
      const bin = resolve(binary, '..')
      const env = { PATH: `${bin}:${process.env['PATH']}`, VAULT_ADDR: address, VAULT_CACERT: authority, VAULT_TOKEN: root, ...variables }
      const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', commands], { cwd: folder, env })
      return stdout
    },
    async logins() {
      const found = await Promise.all(
        (await keysOf('auth/token/accessors')).map(async (accessor) => {
          const { status, body } = await call(root, 'POST', 'auth/token/lookup-accessor', { accessor })
          const data = (body['data'] ?? {}) as { meta?: Record<string, string>; ttl?: number }
          const handle = data.meta?.['taskbound_handle']
          return status !== 200 || handle === undefined ? [] : [{ accessor, handle, ttl: data.ttl ?? 0 }]
        }),
      )
      return found.flat()
    },
    leases: async (path) => (await keysOf(`sys/leases/lookup/${path}/`)).map((key) => `${path}/${key}`),
    log,
    async unseal() {
      const key = log().match(/Unseal Key: (\S+)/)?.[1]
      await ask('PUT', 'sys/unseal', { key })
      await eventually(() => ask('GET', 'sys/health'), { timeoutMs: 20_000, everyMs: 50 })
    },
    stop: () => supervisor.stop(),
  }
}
