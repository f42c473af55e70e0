import { connect } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { afterEach, describe, expect, test } from '@jest/globals'
import { healthRoutes } from '../../src/http/health.ts'
import { metricsRoute } from '../../src/http/metrics.ts'
import type { Route } from '../../src/http/route.ts'
import { createHttpServer, type HttpServer } from '../../src/http/server.ts'
import { generateAuthority, issueServing } from '../../src/issuer/ca.ts'
import { at } from '../../src/lib/instant.ts'
import type { Log } from '../../src/ports/log.ts'
import { entropy, text } from '../issuer/world.ts'

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} }
const running: HttpServer[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.stop()))
})

const routes: readonly Route[] = [
  { path: '/plain', handle: () => ({ status: 200, body: 'hello' }) },
  { path: '/items/*', handle: ({ parameter }) => ({ status: 200, body: parameter }) },
  {
    path: '/broken',
    handle: () => {
      throw new Error('canary')
    },
  },
]

async function serve(given: readonly Route[] = routes): Promise<number> {
  const server = createHttpServer({ name: 'test', host: '127.0.0.1', port: 0, routes: given, log: silent })
  running.push(server)
  return await server.start()
}

/** Sends bytes as they are and answers all that comes back until the server closes. */
function raw(port: number, bytes: string): Promise<string> {
  return new Promise((done, failed) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    let all = ''
    socket.on('data', (chunk) => {
      all += chunk.toString()
    })
    socket.on('end', () => done(all))
    socket.on('error', failed)
  })
}

const ask = (port: number, line: string, headers = '') =>
  raw(port, `${line} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n${headers}\r\n`)
const statusOf = (reply: string) => Number(reply.split(' ')[1])

describe('the server', () => {
  test.each<[string, number]>([
    ['GET /plain', 200],
    ['HEAD /plain', 200],
    ['GET /plain?x=1', 200],
    ['GET /items/a', 200],
    ['GET /items/', 404],
    ['GET /items/a/b', 404],
    ['GET /plain/', 404],
    ['GET //plain', 404],
    ['GET /%70lain', 404],
    ['GET /items/../plain', 404],
    ['GET http://evil.example/plain', 400],
    ['OPTIONS *', 400],
    ['POST /plain', 405],
    ['DELETE /plain', 405],
    [`GET /${'a'.repeat(600)}`, 400],
    ['GET /broken', 500],
  ])('answers %s with %i', async (line, status) => {
    expect(statusOf(await ask(await serve(), line))).toBe(status)
  })

  test('says nothing of why it failed', async () => {
    expect(await ask(await serve(), 'GET /broken')).not.toContain('canary')
  })

  test.each([['Content-Length: 5\r\n'], ['Transfer-Encoding: chunked\r\n']])('takes no body: %j', async (header) => {
    const reply = await raw(await serve(), `POST /plain HTTP/1.1\r\nHost: a\r\n${header}\r\n`)
    expect(statusOf(reply)).toBe(413)
  })

  test('refuses headers of 20 KB', async () => {
    expect(statusOf(await ask(await serve(), 'GET /plain', `X: ${'a'.repeat(20_000)}\r\n`))).toBe(431)
  })
})

describe('health', () => {
  test('names the checks that fail, and all with ?verbose', async () => {
    const port = await serve(healthRoutes({ loop: () => undefined }, { synced: () => undefined, fences: () => 'the policy is missing' }))
    expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200)
    const ready = await fetch(`http://127.0.0.1:${port}/readyz`)
    expect([ready.status, await ready.text()]).toEqual([503, '[-]fences failed: the policy is missing\nfailed\n'])
    expect(await (await fetch(`http://127.0.0.1:${port}/readyz?verbose`)).text()).toContain('[+]synced ok\n')
  })

  test('counts a check that throws as failed', async () => {
    const broken = () => {
      throw new Error('canary')
    }
    const reply = await fetch(`http://127.0.0.1:${await serve(healthRoutes({ broken }, {}))}/healthz`)
    expect([reply.status, await reply.text()]).toEqual([503, '[-]broken failed: the check itself failed\nfailed\n'])
  })
})

test('metrics are made at each scrape', async () => {
  let scrapes = 0
  const route = metricsRoute('/metrics', async () => ({ contentType: 'text/plain; version=0.0.4', text: `scrapes ${++scrapes}\n` }))
  const url = `http://127.0.0.1:${await serve([route])}/metrics`
  await fetch(url)
  expect(await (await fetch(url)).text()).toBe('scrapes 2\n')
})

describe('over TLS', () => {
  const names = { dns: ['issuer.example'], ips: [] }
  const now = at(Date.now())

  function serialSeen(port: number, ca: string): Promise<string> {
    return new Promise((done, failed) => {
      const socket: TLSSocket = connectTls({ port, host: '127.0.0.1', servername: 'issuer.example', ca }, () => {
        done(socket.getPeerCertificate().serialNumber)
        socket.destroy()
      })
      socket.on('error', failed)
    })
  }

  test('a renewed certificate is served without a restart', async () => {
    const authority = generateAuthority(names, now, entropy)
    const make = () => {
      const serving = issueServing(authority, names, now, entropy)
      return { cert: serving.certificate, key: text(serving.key) }
    }
    const server = createHttpServer({ name: 'test', host: '127.0.0.1', port: 0, routes, tls: make(), log: silent })
    running.push(server)
    const port = await server.start()
    const first = await serialSeen(port, authority.certificate)
    server.reload(make())
    expect(await serialSeen(port, authority.certificate)).not.toBe(first)
  })
})
