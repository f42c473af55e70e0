// A real Keycloak for tests, over TLS, in memory, on free ports of loopback. It ends with the process that started it, however that ends.

import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort } from '../../cluster/start.ts'
import { startSupervisor } from '../../cluster/supervise.ts'
import { ensureKeycloak } from '../../tools/keycloak/build.ts'
import { ownCertificate } from '../certificate.ts'
import { eventually } from '../cluster.ts'

const run = promisify(execFile)
export type Json = Record<string, unknown>

export interface Keycloak {
  /** `https://localhost:<port>/realms/agents` */
  readonly issuer: string
  /** PEM of the authority that signed its certificate */
  readonly ca: string
  /** A call of its admin API below the realm, as an administrator. Rejects unless it answers 2xx. */
  admin(method: string, path: string, body?: unknown): Promise<unknown>
  /** A form to an endpoint of the realm, as anybody. */
  form(path: string, form: Readonly<Record<string, string>>): Promise<{ readonly status: number; readonly body: Json }>
  /** the keys that it signs with, as a JWKS */
  keys(): Promise<unknown>
  /** Runs commands of the how-to page as an administrator would who has logged in by `kcadm.sh`. */
  shell(commands: string, variables?: Readonly<Record<string, string>>): Promise<string>
  /** everything that it logged */
  log(): string
  stop(): Promise<void>
}

const root = { name: 'admin', password: 'admin-of-tests' }

/** @param trusted PEM of the authority of an issuer whose keys it is to fetch */
export async function startKeycloak(trusted: string): Promise<Keycloak> {
  const home = await ensureKeycloak(process.env)
  const folder = await mkdtemp(join(tmpdir(), 'taskbound-keycloak-'))
  const { cert, key, ca } = ownCertificate()
  const file = async (name: string, text: string): Promise<string> => {
    await writeFile(join(folder, name), text, { mode: 0o600 })
    return join(folder, name)
  }
  const [port, plain] = [await freePort(), await freePort()]
  const supervisor = await startSupervisor(folder, false)
  await supervisor.start('keycloak', 'env', [
    ...['JAVA_OPTS_APPEND=-Xmx512m -XX:TieredStopAtLevel=1', join(home, 'bin', 'kc.sh'), 'start', '--optimized', '--cache=local'],
    ...[`--https-port=${port}`, '--http-enabled=true', `--http-port=${plain}`, '--http-host=127.0.0.1'],
    ...[`--hostname=https://localhost:${port}`, '--hostname-backchannel-dynamic=false'],
    `--https-certificate-file=${await file('tls.crt', cert)}`,
    `--https-certificate-key-file=${await file('tls.key', key)}`,
    `--truststore-paths=${await file('issuer-ca.pem', trusted)}`,
    ...[`--bootstrap-admin-username=${root.name}`, `--bootstrap-admin-password=${root.password}`],
  ])
  const base = `http://127.0.0.1:${plain}`
  const log = (): string => (existsSync(join(folder, 'keycloak.log')) ? readFileSync(join(folder, 'keycloak.log'), 'utf8') : '')
  const asked = async (path: string, init: RequestInit): Promise<{ status: number; body: unknown }> => {
    const answer = await fetch(`${base}${path}`, init)
    const text = await answer.text()
    return { status: answer.status, body: text === '' ? {} : JSON.parse(text) }
  }
  const post = (path: string, form: Readonly<Record<string, string>>) => asked(path, { method: 'POST', body: new URLSearchParams(form) })

  async function logIn(): Promise<string> {
    const form = { grant_type: 'password', client_id: 'admin-cli', username: root.name, password: root.password }
    const { status, body } = await post('/realms/master/protocol/openid-connect/token', form)
    if (status !== 200) throw new Error(`Keycloak does not let its administrator in: ${status}`)
    return String((body as Json)['access_token'])
  }
  try {
    await eventually(() => asked('/realms/master', {}), { timeoutMs: 240_000, everyMs: 250 })
  } catch (error) {
    const tail = log().slice(-4000)
    await supervisor.stop()
    throw new Error(`Keycloak did not start:\n${tail}`, { cause: error })
  }

  const admin: Keycloak['admin'] = async (method, path, sent) => {
    // its tokens live a minute
    const headers = { authorization: `Bearer ${await logIn()}`, 'content-type': 'application/json' }
    const { status, body } = await asked(`/admin/realms${path}`, {
      method,
      headers,
      ...(sent === undefined ? {} : { body: JSON.stringify(sent) }),
    })
    if (status >= 300) throw new Error(`${method} ${path}: ${status} ${JSON.stringify(body)}`)
    return body
  }
  await admin('POST', '', { realm: 'agents', enabled: true })

  return {
    issuer: `https://localhost:${port}/realms/agents`,
    ca,
    admin: (method, path, body) => admin(method, `/agents${path}`, body),
    async form(path, form) {
      const { status, body } = await post(`/realms/agents/protocol/openid-connect${path}`, form)
      return { status, body: body as Json }
    },
    keys: async () => (await asked('/realms/agents/protocol/openid-connect/certs', {})).body,
    async shell(commands, variables = {}) {
      const env = { PATH: `${join(home, 'bin')}:${process.env['PATH']}`, HOME: folder, ...variables }
      const login = `kcadm.sh config credentials --server ${base} --realm master --user ${root.name} --password ${root.password} 2>&1`
      const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', `${login}\n${commands}`], { cwd: folder, env })
      return stdout
    },
    log,
    stop: () => supervisor.stop(),
  }
}
