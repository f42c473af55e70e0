import { once } from 'node:events'
import { createServer as createPlain } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo, Server as TcpServer } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { generateAuthority, issueServing } from '../../src/issuer/ca.ts'
import { at } from '../../src/lib/instant.ts'
import { createHttp, type Http, type HttpCall } from '../../src/outbound/http.ts'
import { entropy } from '../issuer/world.ts'

const now = at(Date.now())
const names = { dns: ['localhost'], ips: [] }
const authority = generateAuthority(names, now, entropy)
const { cert, key } = (({ certificate, key: secret }) => ({ cert: certificate, key: new TextDecoder().decode(secret.reveal()) }))(
  issueServing(authority, names, now, entropy),
)
const caBundle = authority.certificate

type Handler = Parameters<typeof createServer>[1] & {}
let handler: Handler
let server: Server
let connections = 0
let requests: string[] = []
beforeAll(async () => {
  server = createServer({ cert, key }, (request, response) => {
    requests.push(`${request.method} ${request.url}`)
    handler(request, response)
  }).listen(0, '127.0.0.1')
  server.on('secureConnection', () => {
    connections += 1
  })
  await once(server, 'listening')
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

let http: Http
beforeEach(() => {
  http = createHttp()
  requests = []
  connections = 0
  handler = (_request, response) => void response.end('{}')
})
afterEach(() => http.close())

const portOf = (one: TcpServer): number => (one.address() as AddressInfo).port
const call = (change: Partial<HttpCall> = {}) =>
  http.call({
    method: 'GET',
    url: `https://localhost:${portOf(server)}/a`,
    caBundle,
    allowedAddresses: ['127.0.0.0/8', '::1'],
    limit: 2_000,
    ...change,
  })
const sentence = async (change: Partial<HttpCall> = {}): Promise<string> => {
  const answer = await call(change)
  return answer.ok ? `answered ${answer.value.status}` : answer.failure.sentence
}

describe('a call', () => {
  test('sends what it is given and nothing of its own accord, and hands on what it is answered', async () => {
    let seen: unknown
    handler = async (request, response) => {
      const { host: _, ...headers } = request.headers
      seen = { headers, body: (await request.toArray()).join('') }
      response.writeHead(418, { 'x-thing': 'a' }).end('tea ☕')
    }
    const answer = await call({ method: 'POST', body: 'ä', headers: { authorization: 'Bearer x', 'content-type': 'text/plain' } })
    expect(answer).toMatchObject({ ok: true, value: { status: 418, body: 'tea ☕', headers: { 'x-thing': 'a' } } })
    expect(seen).toEqual({
      headers: {
        accept: 'application/json',
        authorization: 'Bearer x',
        connection: 'keep-alive',
        'content-length': '2',
        'content-type': 'text/plain',
        'user-agent': 'taskbound',
      },
      body: 'ä',
    })
    await call()
    expect(connections).toBe(1)
  })

  test('follows no redirect', async () => {
    handler = (_request, response) => void response.writeHead(307, { location: '/b' }).end()
    expect(await sentence({ method: 'POST', body: 'secret' })).toBe('answered 307')
    expect(requests).toEqual(['POST /a'])
  })

  test('goes nowhere but where the guard lets it, by name and by address', async () => {
    const strict = { allowedAddresses: [] }
    expect(await sentence(strict)).toMatch(/`localhost` resolves to .* list it in the provider's `allowedAddresses`/)
    expect(await sentence({ ...strict, url: `https://127.0.0.1:${portOf(server)}/a` })).toMatch(
      /address 127\.0\.0\.1 is of this machine itself/,
    )
    expect(await sentence({ ...strict, url: `https://[::1]:${portOf(server)}/a` })).toMatch(/address ::1 is of this machine itself/)
    expect(connections).toBe(0)
  })

  test.each([
    ['http://localhost/a', /must begin with `https:\/\/`/],
    ['https://me:pw@localhost/a', /hold no user/],
  ])('to %s is not made', async (url, message) => {
    expect(await sentence({ url })).toMatch(message)
  })

  test.each<readonly [string, Partial<HttpCall>, RegExp]>([
    ['of an authority that nobody knows', { caBundle: undefined }, /authority that is not known|signed by itself/],
    ['for another name', { url: 'https://127.0.0.1' }, /does not name the host/],
  ])('refuses a certificate %s, whatever the environment says', async (_name, change, message) => {
    const url = change.url === undefined ? {} : { url: `${change.url}:${portOf(server)}/a` }
    const [before, quiet] = [{ ...process.env }, process.emitWarning]
    process.emitWarning = () => undefined
    Object.assign(process.env, {
      NODE_TLS_REJECT_UNAUTHORIZED: '0',
      NODE_USE_ENV_PROXY: '1',
      HTTPS_PROXY: 'http://127.0.0.1:1',
      https_proxy: 'x',
    })
    try {
      expect(await sentence({ ...change, ...url })).toMatch(message)
      expect(await sentence()).toBe('answered 200')
    } finally {
      for (const name of ['NODE_TLS_REJECT_UNAUTHORIZED', 'NODE_USE_ENV_PROXY', 'HTTPS_PROXY', 'https_proxy']) delete process.env[name]
      Object.assign(process.env, before)
      process.emitWarning = quiet
    }
    expect(requests).toEqual(['GET /a'])
  })

  test('says that a source does not speak TLS', async () => {
    const plain = createPlain((_request, response) => void response.end()).listen(0, '127.0.0.1')
    await once(plain, 'listening')
    expect(await sentence({ url: `https://localhost:${portOf(plain)}/a` })).toMatch(/speak TLS|connection/)
    plain.close()
  })
})

describe('an answer', () => {
  test.each<readonly [string, Handler, RegExp]>([
    ['that never comes', () => undefined, /does not answer in time/],
    [
      'that drips',
      (_request, response) => {
        response.writeHead(200)
        const timer = setInterval(() => response.write('x'), 20)
        response.on('close', () => clearInterval(timer))
      },
      /does not answer in time/,
    ],
    [
      'of a gigabyte',
      (_request, response) => void response.writeHead(200, { 'content-length': 1 << 30 }).write('x'.repeat(1 << 21)),
      /longer than a megabyte/,
    ],
    [
      'with headers without end',
      (_request, response) => void response.writeHead(200, { a: 'x'.repeat(1 << 16) }).end(),
      /headers of its answer/,
    ],
    [
      'that is cut in the middle',
      (_request, response) => void response.writeHead(200, { 'content-length': 10 }).write('x', () => response.destroy()),
      /was cut/,
    ],
    ['that is no HTTP', (request) => void request.socket.end('hello\r\n\r\n'), /connection failed/],
  ])('%s ends in a sentence, and the source may have got the call', async (_name, answers, message) => {
    handler = answers
    const before = performance.now()
    const answer = await call({ limit: 300 })
    expect(answer).toMatchObject({ ok: false, failure: { sentence: expect.stringMatching(message), sent: true } })
    expect(performance.now() - before).toBeLessThan(1_500)
  })
})

test('nothing is sent where no time is left once there is a connection', async () => {
  let asked = 0
  const answer = await call({
    method: 'POST',
    body: 'secret',
    limit: () => {
      asked += 1
      return 0
    },
  })
  expect(answer).toEqual({ ok: false, failure: { sentence: 'there was no time left to send it', sent: false } })
  expect([asked, requests]).toEqual([1, []])
})
