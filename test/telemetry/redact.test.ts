import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { redact } from '../../src/telemetry/redact.ts'

const part = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
const jwt = `${part({ alg: 'ES256', typ: 'at+jwt' })}.${part({ sub: 'canary' })}.${randomBytes(64).toString('base64url')}`
const pem = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()

describe('redact takes out', () => {
  const secret = 'c4narySecret'
  test.each([
    ['a JWT', `got ${jwt}, refused`, jwt.split('.')[2]],
    ['a JWT cut in the middle', jwt.slice(0, 30), jwt.slice(0, 30)],
    ['a JWT after an underscore', `x_${jwt}`, jwt.split('.')[1]],
    ['a JWT whose header has white space', `${part('{ "alg": "none" }')}.${part('{"sub": 1}')}.`, part('{"sub": 1}')],
    ['a JWT whose header has a line break', `${part('{\n "alg": "none"}')}.${part('{"sub": 1}')}.`, part('{"sub": 1}')],
    ['an encrypted JWT', `${part({ alg: 'dir' })}..${part('iv')}.${part('ciphertext')}.${part('tag')}`, part('ciphertext')],
    ['a PEM block', `key:\n${pem}`, pem.split('\n')[1]],
    ['a PEM block in JSON', JSON.stringify({ key: pem }), pem.split('\n')[1]],
    ['a PEM block without its end', pem.slice(0, 90), pem.split('\n')[1]?.slice(0, 50)],
    ['a GitHub App token', `ghs_${'a1'.repeat(18)}`, 'a1a1'],
    ['a long GitHub App token', `ghs_123_${jwt}`, jwt.split('.')[2]],
    ['a fine-grained GitHub token', `github_pat_${'a1'.repeat(20)}`, 'a1a1'],
    ['a Vault token', `hvs.CAESI${secret}`, secret],
    ['an AWS key id', 'key ASIAIOSFODNN7EXAMPLE', 'ASIAIOSFODNN7EXAMPLE'],
    ['a Bearer header', `authorization: Bearer ${secret}`, secret],
    ['a Basic header', `Basic ${Buffer.from('me:pass').toString('base64')}`, 'bWU6'],
    ['a DPoP header', `DPoP ${secret}`, secret],
    ['a password in a URL', `postgres://me:${secret}@db/x`, secret],
    ['a password in a connection string', `host=db password=${secret} user=x`, secret],
    ['a password in JSON', `{"password": "${secret}"}`, secret],
    ['a query parameter', `https://x/?access_token=${secret}&y=1`, secret],
    [
      '32 random bytes in base64',
      Buffer.from('c4nary/+'.repeat(5)).toString('base64'),
      Buffer.from('c4nary').toString('base64').slice(0, 6),
    ],
    ['32 random bytes in hex', `key ${'0f1e2d3c'.repeat(8)}`, '0f1e2d3c'],
  ])('%s', (_what, text, mustGo) => {
    expect(text).toContain(mustGo)
    expect(redact(text)).not.toContain(mustGo)
  })
})

describe('redact leaves', () => {
  test.each([
    ['a digest', `sha256:${'0f1e2d3c'.repeat(8)}`],
    ['a UUID', '6f1c0d1e-0000-4000-8000-000000000001'],
    ['a user name', 'system:serviceaccount:taskbound-system:taskbound'],
    ['a path of the API', '/apis/taskbound.dev/v1alpha1/namespaces/payroll-of-november-and-december/agenttasks/close-books'],
    ['a long name', `${'a-rather-long-name-'.repeat(10)}1`],
    ['a SPIFFE ID', 'spiffe://corp.example/ns/payroll/agent/payroll-clerk/task/6f1c0d1e-0000-4000-8000-000000000001'],
    ['a URL', 'https://payroll-api.corp.example/v1?x=1'],
    ['a name in camel case', 'keyDocument.keyBoardLayout'],
    ['a reason', 'RevocationUnconfirmed: asked for and not confirmed yet'],
    ['a sentence about a token', 'the token was refused, the password is needed'],
  ])('%s', (_what, text) => {
    expect(redact(text)).toBe(text)
  })
})

test('a text is cut at 4,096 characters', () => {
  const cut = redact('x '.repeat(10_000))
  expect(cut.length).toBeLessThan(4110)
  expect(cut.endsWith('[cut]')).toBe(true)
})

test('no text makes it throw, and what it made clean stays as it is', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 300 }), (text) => {
      const once = redact(`${text} ${jwt} ${text}`)
      expect(once).not.toContain(jwt.slice(0, 30))
      expect(redact(once)).toBe(once)
    }),
  )
})

test('its time is linear: four times the text takes nothing like sixteen times the time', () => {
  const worst = ['ey'.repeat(8), '-----BEGIN ', '://', 'Bearer ', 'a'.repeat(16), 'password="']
  const time = (length: number): number => {
    const texts = worst.map((piece) => piece.repeat(length / piece.length))
    const runs = [1, 2, 3].map(() => {
      const before = performance.now()
      for (const text of texts) redact(text)
      return performance.now() - before
    })
    return Math.min(...runs)
  }
  time(50_000)
  const small = time(50_000)
  expect(time(200_000)).toBeLessThan(small * 12 + 20)
})
