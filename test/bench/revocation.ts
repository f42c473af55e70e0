// `make measure-revocation`: every type of provider and every way of ending, on the real servers: from the end to the source's refusal.
// `--count N` a way, `--types` for a part, comma separated; `--write` keeps the table in docs/reference/time-to-revoke.md.

import { writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { acquireCluster } from '../cluster/shared.ts'
import { endOnce, ways } from '../e2e/matrix/endings.ts'
import { type Measured, revocationPage, type Told } from '../e2e/matrix/revocation-page.ts'
import { subjects } from '../e2e/matrix/subjects.ts'
import { createWorld, type World } from '../e2e/matrix/world.ts'

const options = parseArgs({
  options: {
    count: { type: 'string', default: '50' },
    types: { type: 'string', default: Object.keys(subjects).join() },
    write: { type: 'boolean', default: false },
  },
}).values
const count = Number(options.count)
const atOnce = 10

async function measure(world: World): Promise<readonly Measured[]> {
  const measured: Measured[] = []
  for (const [w, way] of ways.entries()) {
    const times = new Map<string, number[]>(world.subjects.map(({ type }) => [type, []]))
    const once = (n: number): Promise<unknown> =>
      Promise.all(
        world.subjects.map(async (subject) =>
          times.get(subject.type)?.push(await endOnce(world, subject, way, `${w}-${n}-${subject.type}`.toLowerCase())),
        ),
      )
    // what ends by itself takes a minute: several at a time, a second apart
    if (way.what === 'its deadline')
      for (let n = 0; n < count; n += atOnce)
        await Promise.all(
          [...Array(Math.min(atOnce, count - n)).keys()].map(async (i) => {
            await new Promise((done) => setTimeout(done, i * 1000))
            await once(n + i)
          }),
        )
    else for (let n = 0; n < count; n += 1) await once(n)
    for (const [type, its] of times) measured.push({ type, way: way.what, times: its })
    console.error(`${way.what}: ${[...times].map(([type, its]) => `${type} ${Math.max(...its).toFixed(0)}`).join(', ')} ms at worst`)
  }
  return measured
}

async function told(world: World): Promise<readonly Told[]> {
  const text = await (await fetch(`${world.operator.metrics}/metrics`)).text()
  const metric = (part: string, provider: string): number =>
    Number(new RegExp(`^taskbound_credential_overrun_seconds_${part}\\{provider="${provider}"\\} (\\S+)$`, 'm').exec(text)?.[1] ?? 0)
  return Promise.all(
    world.subjects.map(async ({ type, provider }) => {
      const { status } = await world.scenario.kube.must('GET', `/apis/taskbound.dev/v1alpha1/clustercredentialproviders/${provider}`)
      const n = metric('count', provider)
      return { type, revocation: status.revocation, overrun: { count: n, mean: n === 0 ? 0 : (metric('sum', provider) / n) * 1000 } }
    }),
  )
}

const cluster = await acquireCluster()
process.env['KUBECONFIG'] = cluster.kubeconfig
process.env['TASKBOUND_TEST_KUBECTL'] = cluster.kubectl
let world: World | undefined
try {
  world = await createWorld(options.types.split(','), true)
  const page = revocationPage(world.subjects, await measure(world), await told(world))
  console.log(page)
  if (options.write) await writeFile(resolve(import.meta.dirname, '../../docs/reference/time-to-revoke.md'), page)
} finally {
  await world?.close()
  await cluster.release()
}
