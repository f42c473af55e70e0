// Every token that ever stood in a task's Secret, as an administrator's watch saw it; and the way to free the KubeLease of a killed leader.

import { spawn } from 'node:child_process'
import type { Scenario } from '../support/scenario.ts'

export interface TokensSeen {
  of(task: string): readonly string[]
  stop(): void
}

export function watchTokens(scenario: Scenario): TokensSeen {
  const seen = new Map<string, Set<string>>()
  const columns = '{.metadata.name} {.data.api}{"\\n"}'
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

/** A KubeLease whose holder was killed would be waited for. */
export async function freeLease(scenario: Scenario): Promise<void> {
  await scenario.kube.request('DELETE', '/apis/coordination.k8s.io/v1/namespaces/taskbound-system/leases/taskbound')
}
