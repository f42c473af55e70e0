// Finds out where the API server is and who we are: from a pod's ServiceAccount files, or from kubeconfig files.
// Reads no environment and opens no connection; a configuration that would not check the server's certificate is refused.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Duration, milliseconds, seconds } from '../lib/instant.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import type { Clock } from '../ports/clock.ts'
import type { KubeConnection } from './connection.ts'

export type KubeConfigSource =
  | {
      readonly kind: 'inCluster'
      /** `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT` */
      readonly host: string
      readonly port: string
      /** where the ServiceAccount's files are; default /var/run/secrets/kubernetes.io/serviceaccount */
      readonly directory?: string
    }
  | {
      readonly kind: 'kubeconfig'
      /** as in `KUBECONFIG`: the first that says something wins */
      readonly paths: readonly string[]
      readonly context?: string
    }

const usualDirectory = '/var/run/secrets/kubernetes.io/serviceaccount'
const tokenLife = seconds(60)

/** The failure is a sentence for the operator's log. */
export function loadKubeConfig(source: KubeConfigSource, clock: Pick<Clock, 'monotonic'>): Promise<Result<KubeConnection, string>> {
  return source.kind === 'inCluster' ? fromServiceAccount(source, clock) : fromKubeconfig(source, clock)
}

async function fromServiceAccount(
  source: Extract<KubeConfigSource, { kind: 'inCluster' }>,
  clock: Pick<Clock, 'monotonic'>,
): Promise<Result<KubeConnection, string>> {
  const directory = source.directory ?? usualDirectory
  const host = source.host.includes(':') ? `[${source.host}]` : source.host
  const token = cached(clock, async () => `Bearer ${(await readFile(join(directory, 'token'), 'utf8')).trim()}`)
  try {
    await Promise.all([token.get(), readFile(join(directory, 'ca.crt'))])
  } catch (error) {
    return fail(`the ServiceAccount's files cannot be read: ${messageOf(error)}`)
  }
  return ok({
    server: `https://${host}:${source.port}`,
    tls: async () => ({ ca: await readFile(join(directory, 'ca.crt')), cert: undefined, key: undefined, servername: undefined }),
    authorization: token.get,
    refresh: token.forget,
    impersonate: undefined,
    namespace: await readFile(join(directory, 'namespace'), 'utf8').then(
      (text) => text.trim(),
      () => undefined,
    ),
  })
}

async function fromKubeconfig(
  source: Extract<KubeConfigSource, { kind: 'kubeconfig' }>,
  clock: Pick<Clock, 'monotonic'>,
): Promise<Result<KubeConnection, string>> {
  // costs a third of a second and much memory, so that a pod never loads it
  const { KubeConfig } = await import('@kubernetes/client-node')
  const config = new KubeConfig()
  try {
    for (const [place, path] of source.paths.entries()) {
      if (place === 0) config.loadFromFile(path)
      else {
        const next = new KubeConfig()
        next.loadFromFile(path)
        config.mergeConfig(next, true)
      }
    }
  } catch (error) {
    return fail(`the kubeconfig cannot be read: ${messageOf(error)}`)
  }
  if (source.context !== undefined) config.setCurrentContext(source.context)
  const cluster = config.getCurrentCluster()
  if (cluster === null) return fail(`the kubeconfig has no cluster for the context \`${config.getCurrentContext()}\``)
  if (cluster.skipTLSVerify) {
    return fail('the kubeconfig says `insecure-skip-tls-verify`, which would show our credentials to anybody: give it the CA certificate')
  }
  if (!cluster.server.startsWith('https://')) return fail(`the server \`${cluster.server}\` is not reached over https`)
  if (cluster.proxyUrl !== undefined && cluster.proxyUrl !== '') {
    return fail('the kubeconfig says `proxy-url`, which is not supported: give it a server that can be reached directly')
  }

  // runs an exec plugin where one is configured
  const credentials = cached(clock, async () => {
    const options: Parameters<typeof config.applyToHTTPSOptions>[0] = { headers: {} }
    await config.applyToHTTPSOptions(options)
    const headers = options.headers as Record<string, string | undefined>
    const { ca, cert, key } = options as { ca?: Buffer | string; cert?: Buffer | string; key?: Buffer | string }
    return { ca, cert, key, authorization: headers['Authorization'] }
  })
  try {
    await credentials.get()
  } catch (error) {
    return fail(`the kubeconfig's credentials cannot be had: ${messageOf(error)}`)
  }
  const context = config.getContextObject(config.getCurrentContext())
  return ok({
    server: cluster.server,
    async tls() {
      const { ca, cert, key } = await credentials.get()
      return { ca, cert, key, servername: cluster.tlsServerName === '' ? undefined : cluster.tlsServerName }
    },
    authorization: async () => (await credentials.get()).authorization,
    refresh: credentials.forget,
    impersonate: config.getCurrentUser()?.impersonateUser,
    namespace: context?.namespace,
  })
}

/** Asks again at most once a minute, or when told to; keeps the last answer when asking fails, as a token outlives a bad moment. */
function cached<V>(clock: Pick<Clock, 'monotonic'>, ask: () => Promise<V>): { get(): Promise<V>; forget(): void } {
  let held: { readonly value: V; readonly until: Duration } | undefined
  let asking: Promise<V> | undefined
  let forgotten = false
  async function renew(): Promise<V> {
    try {
      const value = await ask()
      held = { value, until: milliseconds(clock.monotonic() + tokenLife) }
      return value
    } catch (error) {
      if (held === undefined) throw error
      held = { value: held.value, until: milliseconds(clock.monotonic() + seconds(1)) }
      return held.value
    } finally {
      forgotten = false
      asking = undefined
    }
  }
  return {
    async get() {
      if (held !== undefined && !forgotten && clock.monotonic() < held.until) return held.value
      asking ??= renew()
      return asking
    },
    forget() {
      forgotten = true
    },
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : 'unknown')
