// `make demo` on a given cluster: what a stranger sees, and that it takes away what it made.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { connect, eventually } from '../support/cluster.ts'

const root = resolve(import.meta.dirname, '../..')
const kube = connect()
// an operator's namespace that is there before the demo is there after it
beforeAll(async () => void (await kube.kubectl(['apply', '-f', 'test/support/rbac.yaml'])))
afterAll(() => kube.close())

/** @param interruptAt sends SIGINT, as Ctrl-C does, when the output matches, and again with whatever is printed after */
async function demo(interruptAt?: RegExp): Promise<{ readonly output: string; readonly code: number | null }> {
  const child = spawn(process.execPath, ['test/demo/demo.ts'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', KUBECONFIG: kube.kubeconfig },
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk
      if (interruptAt?.test(output)) child.kill('SIGINT')
    })
  }
  const [code] = (await once(child, 'exit')) as [number | null]
  return { output, code }
}

test('it shows a credential that works and then does not, on the cluster that it is given', async () => {
  const { output, code } = await demo()
  expect(output).toMatch(/task close-books is Active \d+ ms after/)
  expect(output).toContain('status list) answers 200')
  expect(output).toMatch(/pay-bonus is Denied: credential `payroll-api`: no policy permits it/)
  expect(output).toMatch(/the Secret is gone \d+ ms after/)
  expect(output).toMatch(/the token is refused \d+ ms after/)
  expect(output).toContain('close-books is Completed')
  expect(output).toMatch(/issue {2}close-books/)
  expect([code, output.includes('Done. Everything that was started is stopped.')]).toEqual([0, true])
  await eventually(async () => expect((await kube.request('GET', '/api/v1/namespaces/taskbound-quickstart')).status).toBe(404), {
    timeoutMs: 40_000,
  })
}, 120_000)

test('interrupted half way it stops its operator and takes away what it made', async () => {
  const { output, code } = await demo(/is Active/)
  expect([code, output.includes('Done.')]).toEqual([130, false])
  expect(output).not.toContain('could not clean up')
  await eventually(async () => expect((await kube.request('GET', '/api/v1/namespaces/taskbound-quickstart')).status).toBe(404), {
    timeoutMs: 40_000,
  })
  // an operator that was stopped, and not merely left behind, has given the lease back
  const lease = await kube.must('GET', '/apis/coordination.k8s.io/v1/namespaces/taskbound-system/leases/taskbound')
  expect(lease.spec?.holderIdentity ?? '').toBe('')
}, 120_000)
