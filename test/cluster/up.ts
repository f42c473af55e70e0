// `make cluster`: a control plane with our kinds in it that keeps running, one for a checkout. `down` as argument ends it.
// The export line alone goes to stdout, for `eval`.
import { rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { say } from './environment.ts'
import { applyKinds, untilStamping } from './shared.ts'
import { standingFolder, stopStanding, supervisorOf } from './standing.ts'
import { startCluster } from './start.ts'

async function up(): Promise<void> {
  const kubeconfig = join(standingFolder, 'admin.kubeconfig')
  if ((await supervisorOf(standingFolder)) === undefined) {
    await rm(standingFolder, { recursive: true, force: true }) // what a cut power line left
    const begun = Date.now()
    const crds = resolve(import.meta.dirname, '../../crds')
    const cluster = await startCluster({
      dir: standingFolder,
      beforeControllers: ({ kubectl, kubeconfig }) => applyKinds(kubectl, kubeconfig, crds),
    })
    await untilStamping(cluster, crds)
    await cluster.detach()
    cluster.admin.close()
    say(`control plane up in ${((Date.now() - begun) / 1000).toFixed(1)} s: ${cluster.server}; logs in ${cluster.dir}`)
    say(`kubectl of its version: ${cluster.kubectl}`)
    say('it runs until: make cluster-down')
  } else {
    say('it is running already; to end it: make cluster-down')
  }
  process.stdout.write(`export KUBECONFIG=${kubeconfig}\n`)
}

async function down(): Promise<void> {
  say((await stopStanding(standingFolder)) ? 'stopped' : 'it was not running')
}

if (import.meta.main) {
  await (process.argv[2] === 'down' ? down() : up()).catch((error: Error) => {
    say(error.message)
    process.exitCode = 1
  })
}
