// A stand-in for AWS (moto) for tests, behind a TLS server of ours that can lose its answers. It ends with the process that started it,
// however that ends. It checks signatures, and nothing of a login token: what AWS does with one is in no test here.

import { createHash, createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { type IncomingMessage, request as plainRequest, type ServerResponse } from 'node:http'
import { createServer, request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../../cluster/start.ts'
import { startSupervisor } from '../../cluster/supervise.ts'
import { ensureMoto } from '../../tools/moto/build.ts'
import { ownCertificate } from '../certificate.ts'
import { eventually } from '../cluster.ts'
import { listening } from '../listening.ts'

export interface SessionKeys {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken: string
}

export interface Moto {
  /** `https://localhost:<port>` */
  readonly endpoint: string
  /** PEM of the authority that signed its certificate */
  readonly ca: string
  /** Every session that was asked for, as it was asked for. */
  readonly asked: readonly Readonly<Record<string, string>>[]
  /** What STS calls the holder of these keys, by a signed call; `undefined` where it refuses. */
  callerIdentity(keys: SessionKeys): Promise<string | undefined>
  /** From now on it acts, and its answer is lost, or another one with this text in it; `undefined` for an end of that. */
  spoil(how: 'lost' | { readonly text: string } | undefined): void
  log(): string
  stop(): Promise<void>
}

const region = 'eu-central-1'
const scope = (day: string): string => `${day}/${region}/sts/aws4_request`

/** AWS Signature Version 4 of a call of the Query API. */
function sign(keys: SessionKeys, host: string, body: string, now: Date): Readonly<Record<string, string>> {
  const time = now.toISOString().replaceAll(/[-:]|\.\d+/g, '')
  const day = time.slice(0, 8)
  const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
  const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()
  const headers = {
    'content-type': 'application/x-www-form-urlencoded; charset=utf-8',
    host,
    'x-amz-date': time,
    'x-amz-security-token': keys.sessionToken,
  }
  const names = Object.keys(headers).join(';')
  const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`)
  const canonical = ['POST', '/', '', lines.join(''), names, sha256(body)].join('\n')
  const text = ['AWS4-HMAC-SHA256', time, scope(day), sha256(canonical)].join('\n')
  const key = [day, region, 'sts', 'aws4_request'].reduce<string | Buffer>(hmac, `AWS4${keys.secretAccessKey}`)
  const signature = hmac(key, text).toString('hex')
  return {
    ...headers,
    authorization: `AWS4-HMAC-SHA256 Credential=${keys.accessKeyId}/${scope(day)}, SignedHeaders=${names}, Signature=${signature}`,
  }
}

export async function startMoto(): Promise<Moto> {
  const python = await ensureMoto(process.env)
  const folder = await mkdtemp(join(tmpdir(), 'taskbound-moto-'))
  const inner = await freePort()
  const supervisor = await startSupervisor(folder, false)
  await supervisor.start('moto', python, ['-m', 'moto.server', '-p', String(inner)])
  const { cert, key, ca } = ownCertificate()
  const asked: Readonly<Record<string, string>>[] = []
  let spoilt: 'lost' | { readonly text: string } | undefined

  /** By its host AWS knows which service is meant; moto, which has one host, only by a signature. */
  const service = `AWS4-HMAC-SHA256 Credential=NONE/${scope('20260101')}, SignedHeaders=host, Signature=none`
  function pass(method: string, path: string, headers: IncomingMessage['headers'], body: string) {
    const { promise, resolve, reject } = Promise.withResolvers<{ readonly status: number; readonly body: string }>()
    const sending = plainRequest({ host: '127.0.0.1', port: inner, method, path, headers, agent: false }, async (answer) => {
      resolve({ status: answer.statusCode ?? 0, body: (await answer.toArray()).join('') })
    })
    sending.on('error', reject)
    sending.end(body)
    return promise
  }
  async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = (await incoming.toArray()).join('')
    const form = Object.fromEntries(new URLSearchParams(body))
    // as it is now: who sees in `asked` that a call has come may end that before it is answered
    const how = spoilt
    if (form['Action'] === 'AssumeRoleWithWebIdentity') asked.push(form)
    const headers = { authorization: service, ...incoming.headers, 'content-length': String(Buffer.byteLength(body)) }
    const answer = await pass(incoming.method ?? '', incoming.url ?? '', headers, body)
    if (how === 'lost') return void response.destroy()
    response.writeHead(how === undefined ? answer.status : 500, { 'content-type': 'text/xml' })
    response.end(how?.text ?? answer.body)
  }
  const server = createServer({ cert, key }, (incoming, response) => void serve(incoming, response).catch(() => response.destroy()))
  const host = `localhost:${await listening(server)}`
  await eventually(() => pass('GET', '/moto-api/', {}, ''), { timeoutMs: 60_000, everyMs: 100 })
  /** after so many calls signatures are checked */
  const check = (after: number) => pass('POST', '/moto-api/reset-auth', { 'content-length': String(String(after).length) }, String(after))

  return {
    endpoint: `https://${host}`,
    ca,
    asked,
    async callerIdentity(keys) {
      const body = new URLSearchParams({ Action: 'GetCallerIdentity', Version: '2011-06-15' }).toString()
      const { promise, resolve, reject } = Promise.withResolvers<{ readonly status: number; readonly text: string }>()
      await check(0)
      const headers = { ...sign(keys, host, body, new Date()), 'content-length': Buffer.byteLength(body) }
      const sending = request(`https://${host}/`, { method: 'POST', ca, agent: false, headers }, async (answer) => {
        resolve({ status: answer.statusCode ?? 0, text: (await answer.toArray()).join('') })
      })
      sending.on('error', reject)
      sending.end(body)
      const { status, text } = await promise.finally(() => check(1_000_000))
      return status === 200 ? text.match(/<Arn>([^<]*)<\/Arn>/)?.[1] : undefined
    },
    spoil(how) {
      spoilt = how
    },
    log: () => readFileSync(join(folder, 'moto.log'), 'utf8'),
    async stop() {
      server.closeAllConnections()
      server.close()
      await supervisor.stop()
    },
  }
}
