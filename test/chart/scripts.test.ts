// The two small scripts in the chart's templates, run as they are rendered, against servers with a certificate of a private authority.

import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals'
import { generateAuthority, issueServing } from '../../src/issuer/ca.ts'
import { at } from '../../src/lib/instant.ts'
import { createCedar } from '../../src/policy/cedar.ts'
import { compile } from '../../src/policy/compile.ts'
import { schemaText } from '../../src/policy/schema.ts'
import { entropy, text } from '../issuer/world.ts'
import { buildTimeout, createHelm, type Helm, only } from './helm.ts'

let helm: Helm
beforeAll(async () => {
  helm = await createHelm()
}, buildTimeout)

const folder = mkdtempSync(join(tmpdir(), 'taskbound-scripts-'))
const names = { dns: ['localhost'], ips: ['127.0.0.1'] }
const now = at(Date.now())
const authority = generateAuthority(names, now, entropy)
writeFileSync(join(folder, 'ca.crt'), authority.certificate)
writeFileSync(join(folder, 'token'), 'the token')
afterAll(() => rmSync(folder, { recursive: true }))

const stop: (() => void)[] = []
afterEach(() => {
  for (const one of stop.splice(0)) one()
})

async function serve(answer: (request: IncomingMessage, body: string, response: ServerResponse) => void): Promise<number> {
  const { certificate, key } = issueServing(authority, names, now, entropy)
  const server = createServer({ cert: certificate, key: text(key) }, async (request, response) => {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    answer(request, Buffer.concat(parts).toString(), response)
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  stop.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

interface Container {
  readonly args: readonly string[]
  readonly env: readonly { readonly name: string; readonly value: string }[]
}

/** Runs what the container would, with some variables changed. */
function run(
  { args, env }: Container,
  change: Readonly<Record<string, string>>,
): Promise<{ readonly code: number | null; readonly output: string }> {
  const own = Object.fromEntries(env.map(({ name, value }) => [name, value]))
  const child = spawn(process.execPath, args, { env: { ...own, NODE_EXTRA_CA_CERTS: join(folder, 'ca.crt'), ...change } })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (part: Buffer) => (output += part.toString()))
  return new Promise((done) => child.on('close', (code) => done({ code, output })))
}

test('`helm test` finds the keys of an issuer whose URL is another one and has a path', async () => {
  const pod = only(helm.render({ settings: { issuerUrl: 'https://issuer.example.com/tb' } }), 'Pod')
  const [container] = pod.spec.containers as readonly [Container]
  expect(container.env[0]).toEqual({ name: 'ISSUER', value: 'https://taskbound-issuer.taskbound-system.svc/tb' })
  const asked: (string | undefined)[] = []
  const port = await serve(({ url }, _, response) => {
    asked.push(url)
    const issuer = 'https://issuer.example.com/tb'
    response.end(JSON.stringify(url?.endsWith('/keys') ? { keys: [{ kid: 'a' }] } : { issuer, jwks_uri: `${issuer}/keys` }))
  })
  expect(await run(container, { ISSUER: `https://localhost:${port}/tb` })).toEqual({
    code: 0,
    output: 'https://issuer.example.com/tb publishes 1 keys\n',
  })
  expect(asked).toEqual(['/tb/.well-known/openid-configuration', '/tb/keys'])
})

test('the starter makes what is not there, leaves what is, and waits for an API server that does not know the kind yet', async () => {
  const objects = helm.render()
  const job = only(objects, 'Job', 'taskbound-starter')
  expect(job.metadata.annotations).toMatchObject({ 'helm.sh/hook': 'post-install' })
  const made: unknown[] = []
  const replies = [404, 503, 201, 409]
  const port = await serve((request, body, response) => {
    made.push([request.method, request.url, request.headers.authorization, JSON.parse(body).metadata.name])
    response.writeHead(replies[made.length - 1] ?? 500).end('{}')
  })
  const [container] = job.spec.template.spec.containers as readonly [Container]
  const change = { KUBERNETES_SERVICE_HOST: 'localhost', KUBERNETES_SERVICE_PORT: String(port), SERVICE_ACCOUNT: folder }
  const { code, output } = await run(container, change)
  expect([code, output]).toEqual([
    0,
    'ClusterCredentialProvider starter is made\nClusterAgentPolicy starter exists already and stays as it is\n',
  ])
  const row = (plural: string) => ['POST', `/apis/taskbound.dev/v1alpha1/${plural}`, 'Bearer the token', 'starter']
  const provider = row('clustercredentialproviders')
  expect(made).toEqual([provider, provider, provider, row('clusteragentpolicies')])
})

test('the starter may create what it makes and nothing else, and its policy is valid', () => {
  const objects = helm.render()
  expect(only(objects, 'ClusterRole', 'taskbound-starter').rules).toEqual([
    { apiGroups: ['taskbound.dev'], resources: ['clustercredentialproviders', 'clusteragentpolicies'], verbs: ['create'] },
  ])
  const [{ env }] = only(objects, 'Job', 'taskbound-starter').spec.template.spec.containers as readonly [Container]
  const [, policy] = JSON.parse(env.find(({ name }) => name === 'OBJECTS')?.value ?? '')
  const cedar = createCedar()
  const schema = cedar.schemaToJson(schemaText)
  if (schema.type === 'failure') throw new Error(schema.errors[0]?.message)
  const compiled = compile(cedar, schema.json, policy.spec.cedar)
  expect(compiled.ok ? compiled.value.map(({ name }) => name) : compiled.failure.message).toEqual(['starter-namespaces'])
  expect(helm.render({ starter: { enabled: false } }).filter(({ metadata }) => metadata.name.endsWith('-starter'))).toEqual([])
})
