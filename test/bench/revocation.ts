// `make measure-revocation`: every type of provider that can be ended and every way of ending: from the end to the source's refusal.
// `--count N` a way, `--types` for a part, comma separated; `--write` keeps the tables in docs/reference/time-to-revoke.md.

import { writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { acquireCluster } from '../cluster/shared.ts'
import { endOnce, ways } from '../e2e/matrix/endings.ts'
import { createMeasuring, type Measuring } from '../e2e/matrix/measuring.ts'
import { type Measured, revocationPage, type Told } from '../e2e/matrix/revocation-page.ts'
import { sources } from '../e2e/matrix/subjects.ts'

const options = parseArgs({
  options: {
    count: { type: 'string', default: '50' },
    types: { type: 'string', default: Object.keys(sources).join() },
    write: { type: 'boolean', default: false },
  },
}).values
const count = Number(options.count)
const atOnce = 10

async function measure(measuring: Measuring): Promise<readonly Measured[]> {
  const measured: Measured[] = []
  for (const [w, way] of ways.entries()) {
    const its = await Promise.all(
      measuring.sources.map(async (source) => {
        const of = Math.min(count, source.atMost ?? count)
        const once = (n: number) => endOnce(measuring, source, way, `${w}-${n}-${source.type}`.toLowerCase())
        return { type: source.type, way: way.what, times: await (way.what === 'its deadline' ? together(of, once) : inTurn(of, once)) }
      }),
    )
    measured.push(...its)
    console.error(`${way.what}: ${its.map(({ type, times }) => `${type} ${Math.max(...times).toFixed(0)}`).join(', ')} ms at worst`)
  }
  return measured
}

type Once = (n: number) => Promise<number>

async function inTurn(of: number, once: Once): Promise<readonly number[]> {
  const times: number[] = []
  for (let n = 0; n < of; n += 1) times.push(await once(n))
  return times
}

/** What ends by itself takes a minute: several at a time, a second apart. */
async function together(of: number, once: Once): Promise<readonly number[]> {
  const times: number[] = []
  for (let n = 0; n < of; n += atOnce)
    times.push(
      ...(await Promise.all(
        [...Array(Math.min(atOnce, of - n)).keys()].map(async (i) => {
          await new Promise((done) => setTimeout(done, i * 1000))
          return once(n + i)
        }),
      )),
    )
  return times
}

async function told({ operator, scenario, sources: measured }: Measuring): Promise<readonly Told[]> {
  const text = await (await fetch(`${operator.metrics}/metrics`)).text()
  const metric = (part: string, provider: string): number =>
    Number(new RegExp(`^taskbound_credential_overrun_seconds_${part}\\{provider="${provider}"\\} (\\S+)$`, 'm').exec(text)?.[1] ?? 0)
  return Promise.all(
    measured.map(async ({ type, provider }) => {
      const { status } = await scenario.kube.must('GET', `/apis/taskbound.dev/v1alpha1/clustercredentialproviders/${provider}`)
      const n = metric('count', provider)
      return { type, revocation: status.revocation, overrun: { count: n, mean: n === 0 ? 0 : (metric('sum', provider) / n) * 1000 } }
    }),
  )
}

const cluster = await acquireCluster()
process.env['KUBECONFIG'] = cluster.kubeconfig
process.env['TASKBOUND_TEST_KUBECTL'] = cluster.kubectl
let measuring: Measuring | undefined
try {
  measuring = await createMeasuring(options.types.split(','))
  const page = revocationPage(measuring.sources, await measure(measuring), await told(measuring))
  console.log(page)
  if (options.write) await writeFile(resolve(import.meta.dirname, '../../docs/reference/time-to-revoke.md'), page)
} finally {
  await measuring?.close()
  await cluster.release()
}
