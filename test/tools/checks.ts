// Finds or builds the programs that judge what the chart renders, from the versions pinned in the folders beside this file.
// Must not start them.
import { join } from 'node:path'
import { readTestEnvironment } from '../cluster/environment.ts'
import { ensureGoTools } from './build.ts'

const packages = {
  kubeconform: 'github.com/yannh/kubeconform/cmd/kubeconform',
  'kube-score': 'github.com/zegl/kube-score/cmd/kube-score',
} as const

/** @returns the path of the executable */
export async function ensureCheck(name: keyof typeof packages, env: NodeJS.ProcessEnv): Promise<string> {
  const folder = await ensureGoTools({
    moduleFolder: join(import.meta.dirname, name),
    cacheFolder: join(readTestEnvironment(env).cacheFolder, name),
    packages: { [name]: packages[name] },
    flags: ['-ldflags', '-s -w'],
    what: 'for the tests of the chart',
    noGo: `go is not there, and it is needed once to build the ${name} that the tests of the chart run: install Go 1.26 or newer`,
  })
  return join(folder, name)
}
