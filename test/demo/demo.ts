// `make demo`: the life of a task's credential on a real API server, told with measured times. Starts everything it needs and leaves
// nothing behind; with KUBECONFIG it uses that cluster and removes what it made there. A step that fails says so and ends it.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { acquireCluster } from '../cluster/shared.ts'
import { connect, eventually, type KubeTestClient } from '../support/cluster.ts'
import { type RunningOperator, startOperator } from '../support/operator.ts'
import { showDatabase } from './database.ts'

const root = resolve(import.meta.dirname, '../..')
const namespace = 'taskbound-quickstart'
const audience = 'https://payroll-api.example'
const scope = 'payroll:read'
const listTtlSeconds = 5
const undo: (() => Promise<unknown>)[] = []

const tell = (text: string): void => console.log(text)
const took = (from: number): string => `${Math.round(performance.now() - from)} ms`

let interrupted = false
let underWay: Promise<unknown> = Promise.resolve()
let cleaning: Promise<boolean> | undefined

/** Whatever must be taken back is begun here: nothing begins after an interruption, and the clean-up waits for what has begun. */
function begin<T>(step: () => Promise<T>): Promise<T> {
  if (interrupted) return new Promise(() => undefined)
  const result = step()
  underWay = result.catch(() => undefined)
  return result
}

/** Once, whoever asks: a Ctrl-C during it must not end it half way. Answers whether all of it went well. */
function cleanUp(): Promise<boolean> {
  cleaning ??= (async () => {
    await underWay
    let clean = true
    for (const step of undo.splice(0).reverse())
      await step().catch((error: Error) => {
        clean = false
        console.error(`could not clean up: ${error.message}`)
      })
    return clean
  })()
  return cleaning
}

async function apply(kube: KubeTestClient, file: string): Promise<void> {
  const { code, stderr } = await begin(() => kube.kubectl(['apply', '-f', join(root, file)]))
  if (code !== 0) throw new Error(`kubectl apply -f ${file}: ${stderr}`)
}

const taskPath = (name: string): string => `/apis/taskbound.dev/v1alpha1/namespaces/${namespace}/agenttasks/${name}`
const secretPath = `/api/v1/namespaces/${namespace}/secrets/taskbound-close-books`

interface Condition {
  readonly type: string
  readonly status: string
  readonly reason: string
  readonly message: string
}

async function condition(kube: KubeTestClient, task: string, type: string): Promise<Condition> {
  const { status } = await kube.must('GET', taskPath(task))
  const found = (status?.conditions as Condition[] | undefined)?.find((c) => c.type === type)
  if (found === undefined) throw new Error(`task ${task} has no condition ${type} yet`)
  return found
}

async function until(kube: KubeTestClient, task: string, reason: string): Promise<Condition> {
  return eventually(
    async () => {
      const ready = await condition(kube, task, 'Ready')
      if (ready.reason !== reason) throw new Error(`task ${task} is ${ready.reason}, not ${reason}: ${ready.message}`)
      return ready
    },
    { timeoutMs: 20_000, everyMs: 10 },
  )
}

/** The example resource server as a process of its own: it trusts the operator's CA as any client would, by NODE_EXTRA_CA_CERTS. */
async function startResourceServer(kube: KubeTestClient, issuer: string): Promise<(token: string) => Promise<number>> {
  const bundle = await kube.must('GET', '/api/v1/namespaces/taskbound-system/configmaps/taskbound-issuer-ca-bundle')
  const child = await begin(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'taskbound-demo-'))
    undo.push(() => rm(folder, { recursive: true }))
    await writeFile(join(folder, 'ca.crt'), bundle.data['ca.crt'])
    const server: ChildProcess = spawn(process.execPath, [join(root, 'examples/resource-server/main.ts'), issuer, audience, scope, '0'], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, NODE_EXTRA_CA_CERTS: join(folder, 'ca.crt') },
    })
    undo.push(async () => {
      server.kill()
      if (server.exitCode === null && server.signalCode === null) await once(server, 'exit')
    })
    return server
  })
  const [line] = await Promise.race([once(child.stdout as NodeJS.ReadableStream, 'data'), once(child, 'exit')])
  const url = /http:\/\/127\.0\.0\.1:\d+/.exec(String(line))?.[0]
  if (url === undefined) throw new Error(`the resource server did not start: ${line}`)
  return async (token) => (await fetch(url, { headers: { authorization: `Bearer ${token}` } })).status
}

/** There is no kubelet here, so the demo plays its part: it says that the pod of the Job ran and succeeded. */
async function finishPod(kube: KubeTestClient): Promise<void> {
  const path = `/api/v1/namespaces/${namespace}/pods`
  const pod = await eventually(async () => {
    const { items } = await kube.must('GET', `${path}?labelSelector=batch.kubernetes.io/job-name%3Dclose-books`)
    if (items.length === 0) throw new Error('the Job has no pod yet')
    return items[0].metadata.name as string
  })
  await kube.must('PATCH', `${path}/${pod}/status`, { status: { phase: 'Succeeded' } }, { contentType: 'application/merge-patch+json' })
}

/** The operator believes who asked for a task only if the task is younger, by some seconds, than the policy that checks it. */
async function settled(kube: KubeTestClient): Promise<void> {
  const check = await kube.must('GET', '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/taskbound-requester-check')
  await sleep(Math.max(0, Date.parse(check.metadata.creationTimestamp) + 7_000 - Date.now()))
}

/** On somebody's cluster: what is there stays, and what the demo makes goes again. */
async function prepareGiven(kube: KubeTestClient): Promise<void> {
  const remove = (file: string) => async () => {
    // Ctrl-C goes to a kubectl that runs just then too, so it is tried again
    for (let tries = 1; ; tries++) {
      const { code, stderr } = await kube.kubectl(['delete', '--ignore-not-found', '--timeout=60s', '-f', join(root, file)])
      if (code === 0) return
      if (tries === 3) throw new Error(`kubectl delete -f ${file}: ${stderr}`)
    }
  }
  if ((await kube.request('GET', `/api/v1/namespaces/${namespace}`)).status !== 404)
    throw new Error(`namespace ${namespace} exists; delete it first`)
  tell('CRDs and admission policies were applied to your cluster and stay there; the rest of the demo is removed at its end.')
  if ((await kube.request('GET', '/api/v1/namespaces/taskbound-system')).status === 404) undo.push(remove('test/support/rbac.yaml'))
  else tell('namespace taskbound-system is there already and stays: stop an operator that runs there, or the demo waits for its lease.')
  undo.push(remove('examples/quickstart/quickstart.yaml'))
}

async function demo(): Promise<void> {
  const cluster = await acquireCluster()
  undo.push(() => cluster.release())
  const kube = connect({ kubeconfig: cluster.kubeconfig, kubectl: cluster.kubectl })
  undo.push(() => kube.close())
  if (cluster.given) await prepareGiven(kube)
  await apply(kube, 'test/support/rbac.yaml')
  const begun = performance.now()
  const operator: RunningOperator = await begin(async () => {
    const started = await startOperator({ kubeconfig: cluster.kubeconfig, flags: [`--status-list-ttl-seconds=${listTtlSeconds}`] })
    undo.push(() => started.stop())
    return started
  })
  await operator.active()
  tell(`operator up and leading in ${took(begun)}; it acts as its own ServiceAccount, which may read no Secret outside its own namespace`)
  const present = await startResourceServer(kube, operator.issuer)
  await settled(kube)

  tell('\n1. A task is applied beside its Job (examples/quickstart/quickstart.yaml).')
  const applied = performance.now()
  await apply(kube, 'examples/quickstart/quickstart.yaml')
  const active = await until(kube, 'close-books', 'Active')
  tell(`   task close-books is ${active.reason} ${took(applied)} after \`kubectl apply\` was started`)
  tell(`   ${(await condition(kube, 'close-books', 'Authorized')).message}`)

  const secret = await kube.must('GET', secretPath)
  const token = Buffer.from(secret.data['payroll-api'], 'base64').toString()
  const status = await present(token)
  if (status !== 200) throw new Error(`the resource server refused a live token with ${status}`)
  tell('\n2. The pod would now read its token from /credentials/payroll-api and call the payroll API.')
  tell(`   the example resource server (issuer, key, audience, scope, status list) answers ${status}`)

  tell('\n3. The same agent asks for what policy does not allow (examples/quickstart/denied.yaml).')
  await apply(kube, 'examples/quickstart/denied.yaml')
  const denied = await until(kube, 'pay-bonus', 'Denied')
  tell(`   task pay-bonus is Denied: ${denied.message}`)

  tell('\n4. The Job finishes (there is no node here, so the demo reports its pod as succeeded).')
  await finishPod(kube)
  const job = `/apis/batch/v1/namespaces/${namespace}/jobs/close-books`
  await eventually(
    async () => {
      const { status } = await kube.must('GET', job)
      const over = (status?.conditions as Condition[] | undefined)?.some((c) => c.type === 'SuccessCriteriaMet' || c.type === 'Complete')
      if (over !== true) throw new Error('the Job controller has not seen it yet')
    },
    { timeoutMs: 30_000, everyMs: 5 },
  )
  const ended = performance.now()
  await eventually(
    async () => {
      if ((await kube.request('GET', secretPath)).status !== 404) throw new Error('the Secret is still there')
    },
    { everyMs: 5 },
  )
  tell(`   the Secret is gone ${took(ended)} after the Job was seen to be over`)
  await eventually(
    async () => {
      if ((await present(token)) !== 401) throw new Error('the token is still accepted')
    },
    { timeoutMs: listTtlSeconds * 1000 + 5_000, everyMs: 20 },
  )
  tell(
    `   the token is refused ${took(ended)} after the Job was seen to be over (a verifier may keep a status list for ${listTtlSeconds} s here)`,
  )
  const completed = await until(kube, 'close-books', 'Completed')
  const revoked = await condition(kube, 'close-books', 'Revoked')
  tell(`   task close-books is ${completed.reason} (${completed.message}); Revoked is ${revoked.status}`)

  await showDatabase({ kube, tell, begin, undo: (step) => undo.push(step), given: cluster.given })

  tell('\n7. What an auditor finds:')
  for (const { kind, task, credential, reason } of operator.audit())
    tell(`   ${[kind, task, credential, reason].filter(Boolean).join('  ')}`)
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  // not `once`: a second Ctrl-C must not end the clean-up half way and leave processes behind
  process.on(signal, () => {
    if (interrupted) return
    interrupted = true
    console.error('\nInterrupted: what was started is being stopped.')
    void cleanUp().finally(() => process.exit(130))
  })
}
try {
  await demo()
} catch (error) {
  if (!interrupted) console.error(`\nThe demo failed: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}
if (!interrupted) {
  const clean = await cleanUp()
  if (!clean) process.exitCode = 1
  else if (process.exitCode === undefined && !interrupted) tell('\nDone. Everything that was started is stopped.')
}
