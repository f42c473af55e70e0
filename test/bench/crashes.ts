// `make measure-crashes`: the whole crash matrix: at every await of issue, renew and end of every type of provider the operator is killed before
// and after, loses the reply, or stands still while another leads. `--types`, `--faults`, `--steps` for a part of it, comma separated; `--write`
// keeps the table in docs/reference/crash-matrix.md, and `--resume` beside it what earlier parts of this checkout have found.

import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { acquireCluster } from '../cluster/shared.ts'
import { crashPage } from '../e2e/matrix/page.ts'
import { faults, type Result, round, rounds, steps } from '../e2e/matrix/round.ts'
import { subjects } from '../e2e/matrix/subjects.ts'
import { createWorld, type World } from '../e2e/matrix/world.ts'

const options = parseArgs({
  options: {
    types: { type: 'string', default: Object.keys(subjects).join() },
    faults: { type: 'string', default: faults.join() },
    steps: { type: 'string', default: steps.join() },
    write: { type: 'boolean', default: false },
    resume: { type: 'boolean', default: false },
  },
}).values

const root = resolve(import.meta.dirname, '../..')
const kept = resolve(root, '.cache/results/crashes.json')
const same = (a: Result, b: Result): boolean => a.type === b.type && a.step === b.step && a.at === b.at && a.fault === b.fault

async function all(world: World): Promise<readonly Result[]> {
  let results: Result[] = options.resume ? (JSON.parse(await readFile(kept, 'utf8').catch(() => '[]')) as Result[]) : []
  await mkdir(resolve(kept, '..'), { recursive: true })
  for (const fault of faults.filter((one) => options.faults.split(',').includes(one)))
    for (const step of steps.filter((one) => options.steps.split(',').includes(one)))
      for (let index = 0; index < rounds(world, step); index += 1) {
        const begun = performance.now()
        const found = await round(world, step, index, fault)
        results = [...results.filter((one) => !found.some((other) => same(one, other))), ...found]
        await writeFile(kept, JSON.stringify(results))
        const took = ((performance.now() - begun) / 1000).toFixed(1)
        console.error(
          `${fault}, ${step} ${index + 1} of ${rounds(world, step)}, ${took} s: ${found.map(({ type, found: what }) => `${type} ${what}`).join('; ')}`,
        )
      }
  await world.nothingLeft()
  return results
}

const cluster = await acquireCluster()
process.env['KUBECONFIG'] = cluster.kubeconfig
process.env['TASKBOUND_TEST_KUBECTL'] = cluster.kubectl
let world: World | undefined
try {
  world = await createWorld(options.types.split(','))
  const page = crashPage(world.subjects, await all(world))
  console.log(page)
  if (options.write) await writeFile(resolve(root, 'docs/reference/crash-matrix.md'), page)
} finally {
  await world?.close()
  await cluster.release()
}
