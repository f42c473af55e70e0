// The demo's second part: a task gets a login of its own at a real PostgreSQL and loses it, with the session that it has open.

import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { eventually, type KubeTestClient } from '../support/cluster.ts'
import { type Postgres, startPostgres } from '../support/postgres/server.ts'

const folder = resolve(import.meta.dirname, '../../examples/postgresql')
const namespace = 'taskbound-postgresql'
const task = `/apis/taskbound.dev/v1alpha1/namespaces/${namespace}/agenttasks/count-orders`

export interface DatabaseDemo {
  readonly kube: KubeTestClient
  readonly tell: (text: string) => void
  /** runs a step after which something is to be taken back */
  readonly begin: <T>(step: () => Promise<T>) => Promise<T>
  readonly undo: (step: () => Promise<unknown>) => void
  /** whether the cluster is somebody's own, so that what is made there is removed again */
  readonly given: boolean
}

const took = (from: number): string => `${Math.round(performance.now() - from)} ms`

/** The example with the address of the server that was started, its authority and a password of its own. */
function example(server: Postgres, password: string): string {
  const text = readFileSync(join(folder, 'postgresql.yaml'), 'utf8').replace('change-me', password)
  const documents = parseAllDocuments(text.replaceAll('db.corp.example:5432', `localhost:${server.port}`))
  for (const document of documents) {
    if (document.get('kind') !== 'ClusterCredentialProvider') continue
    const settings = { host: 'localhost', port: server.port, caBundle: server.ca }
    for (const [name, value] of Object.entries(settings)) document.setIn(['spec', 'postgres', name], value)
    // it runs on this machine, which would be refused
    document.setIn(['spec', 'allowedAddresses'], ['127.0.0.0/8', '::1'])
  }
  return documents.map(String).join('---\n')
}

interface Condition {
  readonly type: string
  readonly status: string
  readonly reason: string
  readonly message: string
}

async function condition(kube: KubeTestClient, type: string): Promise<Condition | undefined> {
  const { status } = await kube.must('GET', task)
  return (status?.conditions as Condition[] | undefined)?.find((c) => c.type === type)
}

export async function showDatabase({ kube, tell, begin, undo, given }: DatabaseDemo): Promise<void> {
  const server = await begin(async () => {
    const started = await startPostgres({ version: 18 })
    undo(() => started.stop())
    return started
  })
  const password = randomBytes(18).toString('base64url')
  await server.query(readFileSync(join(folder, 'setup.sql'), 'utf8').replace('change-me', password))

  tell('\n5. A task gets a login of its own at a PostgreSQL that was started for this (examples/postgresql/).')
  const text = example(server, password)
  const applied = performance.now()
  await begin(async () => {
    if (given) undo(async () => kube.kubectl(['delete', '--ignore-not-found', '--timeout=60s', '-f', '-'], { stdin: text }))
    const { code, stderr } = await kube.kubectl(['apply', '-f', '-'], { stdin: text })
    if (code !== 0) throw new Error(`kubectl apply -f examples/postgresql: ${stderr}`)
  })
  await eventually(
    async () => {
      const ready = await condition(kube, 'Ready')
      if (ready?.reason !== 'Active') throw new Error(`task count-orders is ${ready?.reason}: ${ready?.message}`)
    },
    { timeoutMs: 20_000, everyMs: 10 },
  )
  tell(`   task count-orders is Active ${took(applied)} after \`kubectl apply\` was started`)
  const { data } = await kube.must('GET', `/api/v1/namespaces/${namespace}/secrets/taskbound-count-orders`)
  const text64 = (key: string): string => Buffer.from(data[key], 'base64').toString()
  const [username, secret] = [text64('db.username'), text64('db.password')]
  const session = await server.login(username, secret)
  const { rows } = await session.query('select id from orders.open_orders')
  tell(`   role ${username} logs in and reads order ${rows[0]?.id}; its session stays open`)

  const cut = new Promise<number>((done) => session.once('end', () => done(performance.now())))
  await kube.must('PATCH', task, { spec: { end: 'Completed' } }, { contentType: 'application/merge-patch+json' })
  const ended = performance.now()
  tell('\n6. The task is said to be done (`spec.end: Completed`), and PostgreSQL is asked.')
  tell(`   the open session was cut after ${Math.round((await cut) - ended)} ms`)
  const again = await server.login(username, secret).then(
    () => 'was let in',
    (error: Error) => `was refused (${error.message})`,
  )
  if (again === 'was let in') throw new Error('a dead role was let in')
  tell(`   a new login ${again}`)
  const revoked = await eventually(async () => {
    const found = await condition(kube, 'Revoked')
    if (found?.status !== 'True') throw new Error(`Revoked is ${found?.status}: ${found?.message}`)
    return found
  })
  tell(`   task count-orders: Revoked is ${revoked.status} (${revoked.reason})`)
}
