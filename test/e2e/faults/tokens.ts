// Every token that ever stood in a task's Secret, as an administrator's watch saw it; and the way to free the KubeLease of a killed leader.

import { spawn } from 'node:child_process'
import { get } from 'node:https'
import { text } from 'node:stream/consumers'
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import type { Scenario } from '../support/scenario.ts'

export interface TokensSeen {
  of(task: string): readonly string[]
  stop(): void
}

/** @param key of the Secret, where it is another credential's */
export function watchTokens(scenario: Scenario, key = 'api'): TokensSeen {
  const seen = new Map<string, Set<string>>()
  const columns = `{.metadata.name} {.data.${key}}{"\\n"}`
  const watcher = spawn(
    process.env['TASKBOUND_TEST_KUBECTL'] ?? 'kubectl',
    ['--kubeconfig', scenario.kube.kubeconfig, '-n', scenario.namespace, 'get', 'secrets', '--watch', '-o', `jsonpath=${columns}`],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  let rest = ''
  watcher.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const [name = '', data = ''] = line.split(' ')
      const task = name.replace(/^taskbound-/, '')
      if (data !== '') seen.set(task, (seen.get(task) ?? new Set()).add(Buffer.from(data, 'base64').toString()))
    }
  })
  return { of: (task) => [...(seen.get(task) ?? [])], stop: () => void watcher.kill() }
}

/** Whether a JWT-SVID is accepted by whoever knows the issuer's bundle: `live`, or why not. Nobody can ask for more. */
export async function judgeSvid(issuer: string, token: string, audience: string): Promise<string> {
  // certificates are the business of other tests
  const bundle = await new Promise<string>((resolve, reject) => {
    get(`${issuer}/spiffe/bundle`, { rejectUnauthorized: false }, (answer) => resolve(text(answer))).on('error', reject)
  })
  // `use: jwt-svid` is known to SPIFFE alone
  const keys = (JSON.parse(bundle) as JSONWebKeySet).keys.map(({ use: _, ...key }) => key)
  return jwtVerify(token, createLocalJWKSet({ keys }), { audience }).then(
    () => 'live',
    (error: Error) => error.message,
  )
}

/** A KubeLease whose holder was killed would be waited for. */
export async function freeLease(scenario: Scenario): Promise<void> {
  await scenario.kube.request('DELETE', '/apis/coordination.k8s.io/v1/namespaces/taskbound-system/leases/taskbound')
}
