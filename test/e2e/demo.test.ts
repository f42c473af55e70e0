// `make demo` on a given cluster: what a stranger sees, and that it takes away what it made.

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { connect, eventually } from '../support/cluster.ts'

const root = resolve(import.meta.dirname, '../..')
const kube = connect()
// an operator's namespace that is there before the demo is there after it
beforeAll(async () => void (await kube.kubectl(['apply', '-f', 'test/support/rbac.yaml'])))
afterAll(() => kube.close())

/**
 * @param interruptAt sends SIGINT to all of its processes, as Ctrl-C does, when the output matches; then to the demo alone, again with
 * whatever is printed after: an operator ends at once at its second signal and cannot give its lease back
 */
async function demo(interruptAt?: RegExp): Promise<{ readonly output: string; readonly code: number | null; readonly left: string }> {
  const child = spawn(process.execPath, ['test/demo/demo.ts'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', KUBECONFIG: kube.kubeconfig },
  })
  let output = ''
  let interrupted = false
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk
      if (interruptAt?.test(output) !== true) return
      if (interrupted) child.kill('SIGINT')
      else interrupted = process.kill(-(child.pid as number), 'SIGINT')
    })
  }
  const [code] = (await once(child, 'exit')) as [number | null]
  return { output, code, left: running(child.pid as number) }
}

/** The processes of a group, one a line. Dead ones that nobody has collected do not count. */
function running(group: number): string {
  const listed = execFileSync('ps', ['-A', '-o', 'pgid=,stat=,args='], { encoding: 'utf8' }).split('\n')
  return listed.filter((line) => new RegExp(`^ *${group} +[^Z ]`).test(line)).join('\n')
}

test('it shows a credential that works and then does not, on the cluster that it is given', async () => {
  const { output, code, left } = await demo()
  expect(output).toMatch(/task close-books is Active \d+ ms after/)
  expect(output).toContain('status list) answers 200')
  expect(output).toMatch(/pay-bonus is Denied: credential `payroll-api`: no policy permits it/)
  expect(output).toMatch(/the Secret is gone \d+ ms after/)
  expect(output).toMatch(/the token is refused \d+ ms after/)
  expect(output).toContain('close-books is Completed')
  expect(output).toMatch(/issue {2}close-books/)
  expect([code, output.includes('Done. Everything that was started is stopped.'), left]).toEqual([0, true, ''])
  await eventually(async () => expect((await kube.request('GET', '/api/v1/namespaces/taskbound-quickstart')).status).toBe(404), {
    timeoutMs: 40_000,
  })
}, 120_000)

test.each([
  ['while its resource server starts', /operator up/],
  ['half way', /is Active/],
  ['at its end', /What an auditor finds/],
])(
  'interrupted %s it stops what it started and takes away what it made',
  async (_when, at) => {
    const { output, code, left } = await demo(at)
    expect([code, output.includes('Done.'), left]).toEqual([130, false, ''])
    expect(output).not.toContain('could not clean up')
    await eventually(async () => expect((await kube.request('GET', '/api/v1/namespaces/taskbound-quickstart')).status).toBe(404), {
      timeoutMs: 40_000,
    })
    // an operator that was stopped, and not merely left behind, has given the lease back
    const lease = await kube.must('GET', '/apis/coordination.k8s.io/v1/namespaces/taskbound-system/leases/taskbound')
    expect(lease.spec?.holderIdentity ?? '').toBe('')
  },
  120_000,
)
