// An admission webhook on this machine that can hold one write of the operator on its way through the API server, so that its pod dies
// exactly between two writes. Must not change a request; what it does not hold passes at once.

import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { must, nodeAddress, nodeFolder } from '../../cluster/node/host.ts'
import type { Scenario } from '../../e2e/support/scenario.ts'
import { eventually } from '../../support/cluster.ts'
import { namespace } from './release.ts'

interface Review {
  readonly uid: string
  readonly operation: string
  readonly resource: { readonly resource: string }
  readonly subResource?: string
  readonly name?: string
  // biome-ignore lint/suspicious/noExplicitAny: of any kind
  readonly object: any
  readonly userInfo: { readonly username: string }
}

export interface Held {
  /** Resolves when the write is there, and does not go on. */
  readonly arrived: Promise<void>
  /** Whoever waits for it is told, if anybody still does: it passes, or it is refused. */
  release(pass: boolean): void
}

export interface Gate {
  /** Holds the next write of the operator that is such a one, for half a minute at most. */
  hold(which: (write: Review) => boolean): Held
  close(): Promise<void>
}

const operator = `system:serviceaccount:${namespace}:taskbound`

/** Stands before Secrets and the status of tasks of one scenario. */
export async function createGate(scenario: Scenario): Promise<Gate> {
  const { kube } = scenario
  const folder = mkdtempSync(join(tmpdir(), 'taskbound-gate-'))
  const { key, certificate } = await certify(folder)
  rmSync(folder, { recursive: true })
  let seen = 0
  let armed: { which(write: Review): boolean; arrive(): void; readonly free: Promise<boolean> } | undefined

  const server = createServer({ key, cert: certificate }, async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const { request: write } = JSON.parse(Buffer.concat(chunks).toString()) as { request: Review }
    seen += 1
    let allowed = true
    if (armed !== undefined && write.userInfo.username === operator && armed.which(write)) {
      const { arrive, free } = armed
      armed = undefined
      arrive()
      allowed = await free
    }
    const answer = { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: { uid: write.uid, allowed } }
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
  })
  await new Promise<void>((done) => server.listen(0, nodeAddress, done))
  const url = `https://${nodeAddress}:${(server.address() as AddressInfo).port}/`
  const path = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations'
  await kube.must('POST', path, {
    metadata: { name: scenario.name },
    webhooks: [
      {
        name: 'gate.test.taskbound.dev',
        clientConfig: { url, caBundle: readFileSync(join(nodeFolder, 'control/certs/ca.crt')).toString('base64') },
        namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': scenario.namespace } },
        rules: [
          { apiGroups: [''], apiVersions: ['v1'], resources: ['secrets'], operations: ['CREATE', 'UPDATE'] },
          { apiGroups: ['taskbound.dev'], apiVersions: ['*'], resources: ['agenttasks/status'], operations: ['UPDATE'] },
        ],
        sideEffects: 'None',
        admissionReviewVersions: ['v1'],
        timeoutSeconds: 30,
        failurePolicy: 'Ignore',
      },
    ],
  })
  // the API server asks it only some time later
  await eventually(
    async () => {
      await kube.request('POST', `${scenario.path('secrets')}?dryRun=All`, {
        metadata: { name: `probe-${randomBytes(3).toString('hex')}` },
      })
      if (seen === 0) throw new Error('the API server does not ask the gate')
    },
    { timeoutMs: 30_000, everyMs: 200 },
  )

  return {
    hold(which) {
      const arrived = Promise.withResolvers<void>()
      const free = Promise.withResolvers<boolean>()
      armed = { which, arrive: arrived.resolve, free: free.promise }
      return { arrived: arrived.promise, release: free.resolve }
    },
    async close() {
      await kube.request('DELETE', `${path}/${scenario.name}`)
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
  }
}

/** A certificate of the cluster's authority for this machine's address. */
async function certify(folder: string): Promise<{ readonly key: string; readonly certificate: string }> {
  const ca = join(nodeFolder, 'control/certs')
  const at = (name: string) => join(folder, name)
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'sec1', format: 'pem' }).toString()
  writeFileSync(at('key'), key, { mode: 0o600 })
  writeFileSync(at('ext'), `basicConstraints=CA:FALSE\nsubjectAltName=IP:${nodeAddress}\n`)
  await must('openssl', ['req', '-new', '-key', at('key'), '-subj', '/CN=gate', '-out', at('csr')])
  const signer = [
    '-CA',
    join(ca, 'ca.crt'),
    '-CAkey',
    join(ca, 'ca.key'),
    '-set_serial',
    `0x00${randomBytes(8).toString('hex')}`,
    '-days',
    '2',
  ]
  await must('openssl', ['x509', '-req', '-in', at('csr'), ...signer, '-extfile', at('ext'), '-out', at('crt')])
  return { key, certificate: readFileSync(at('crt'), 'utf8') }
}
