import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { loadKubeConfig } from '../../src/kube/config.ts'
import type { KubeConnection } from '../../src/kube/connection.ts'
import { seconds } from '../../src/lib/instant.ts'
import type { Result } from '../../src/lib/result.ts'
import { heldClock } from './support.ts'

let directory: string
const clock = heldClock()

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kube-config-'))
})
afterEach(() => rm(directory, { recursive: true }))

const put = (name: string, text: string) => writeFile(join(directory, name), text)
const connectionOf = (loaded: Result<KubeConnection, string>): KubeConnection => {
  if (!loaded.ok) throw new Error(loaded.failure)
  return loaded.value
}

describe('in a pod', () => {
  const load = (host = '10.0.0.1') => loadKubeConfig({ kind: 'inCluster', host, port: '443', directory }, clock)

  test('server, CA, token and namespace come from where Kubernetes puts them', async () => {
    await Promise.all([put('token', 'one\n'), put('ca.crt', 'CA'), put('namespace', 'here\n')])
    const connection = connectionOf(await load())
    expect(connection).toMatchObject({ server: 'https://10.0.0.1:443', namespace: 'here' })
    expect(await connection.authorization()).toBe('Bearer one')
    expect((await connection.tls()).ca?.toString()).toBe('CA')
    expect(connectionOf(await load('fd00::1')).server).toBe('https://[fd00::1]:443')
  })

  test('a rotated token is taken up after a minute, or at once when told that the old one is refused', async () => {
    await Promise.all([put('token', 'one'), put('ca.crt', 'CA')])
    const connection = connectionOf(await load())
    await put('token', 'two')
    clock.jump(seconds(59))
    expect(await connection.authorization()).toBe('Bearer one')
    clock.jump(seconds(1))
    expect(await connection.authorization()).toBe('Bearer two')
    await put('token', 'three')
    connection.refresh()
    expect(await connection.authorization()).toBe('Bearer three')
  })

  test('a token file that cannot be read for a moment leaves the last token in use', async () => {
    await Promise.all([put('token', 'one'), put('ca.crt', 'CA')])
    const connection = connectionOf(await load())
    await rm(join(directory, 'token'))
    clock.jump(seconds(61))
    expect(await connection.authorization()).toBe('Bearer one')
  })

  test('missing files are a sentence', async () => {
    expect(await load()).toEqual({ ok: false, failure: expect.stringContaining("the ServiceAccount's files cannot be read") })
  })
})

describe('with a kubeconfig', () => {
  interface Parts {
    readonly cluster?: object
    readonly user?: object
  }
  async function load({ cluster = {}, user = { token: 'secret' } }: Parts, name = 'config') {
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'c', cluster: { server: 'https://example:6443', 'certificate-authority-data': btoa('CA'), ...cluster } }],
      users: [{ name: 'u', user }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u', namespace: 'here' } }],
      'current-context': 'x',
    }
    await put(name, JSON.stringify(config))
    return loadKubeConfig({ kind: 'kubeconfig', paths: [join(directory, name)] }, clock)
  }

  test('server, CA and token', async () => {
    const connection = connectionOf(await load({ cluster: { 'tls-server-name': 'kube' } }))
    expect(connection).toMatchObject({ server: 'https://example:6443', namespace: 'here' })
    expect(await connection.authorization()).toBe('Bearer secret')
    const tls = await connection.tls()
    expect([tls.ca?.toString(), tls.servername]).toEqual(['CA', 'kube'])
  })

  test('client certificates and whom to impersonate', async () => {
    const user = { 'client-certificate-data': btoa('CERT'), 'client-key-data': btoa('KEY'), as: 'someone' }
    const connection = connectionOf(await load({ user }))
    const tls = await connection.tls()
    expect([tls.cert?.toString(), tls.key?.toString(), connection.impersonate]).toEqual(['CERT', 'KEY', 'someone'])
    expect(await connection.authorization()).toBeUndefined()
  })

  test('an exec plugin is run', async () => {
    const credential = { apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential', status: { token: 'made' } }
    const exec = {
      apiVersion: 'client.authentication.k8s.io/v1',
      command: 'echo',
      args: [JSON.stringify(credential)],
      interactiveMode: 'Never',
    }
    expect(await connectionOf(await load({ user: { exec } })).authorization()).toBe('Bearer made')
  })

  test.each([
    ['a certificate that is not checked', { 'insecure-skip-tls-verify': true }, 'insecure-skip-tls-verify'],
    ['a server without TLS', { server: 'http://example' }, 'not reached over https'],
    ['a proxy', { 'proxy-url': 'http://proxy' }, 'proxy-url'],
  ])('%s is refused with a sentence', async (_, cluster, sentence) => {
    expect(await load({ cluster })).toEqual({ ok: false, failure: expect.stringContaining(sentence) })
  })

  test('a missing file and a missing context are a sentence', async () => {
    const source = { kind: 'kubeconfig', paths: [join(directory, 'none')] } as const
    expect(await loadKubeConfig(source, clock)).toMatchObject({ ok: false })
    await load({})
    const other = { kind: 'kubeconfig', paths: [join(directory, 'config')], context: 'y' } as const
    expect(await loadKubeConfig(other, clock)).toEqual({ ok: false, failure: expect.stringContaining('`y`') })
  })
})
