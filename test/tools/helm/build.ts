// Finds or builds helm, from the versions pinned in the folders beside this file. `TASKBOUND_HELM` and `TASKBOUND_HELM3` name what is
// there already, a helm 4 and a helm 3.
import { join } from 'node:path'
import { readTestEnvironment } from '../../cluster/environment.ts'
import { ensureGoTools } from '../build.ts'

export type Major = 3 | 4

const variables: Readonly<Record<Major, string>> = { 3: 'TASKBOUND_HELM3', 4: 'TASKBOUND_HELM' }

/** @returns the path of the executable */
export async function ensureHelm(major: Major, env: NodeJS.ProcessEnv): Promise<string> {
  const given = env[variables[major]]
  if (given) return given
  const folder = await ensureGoTools({
    moduleFolder: join(import.meta.dirname, `v${major}`),
    cacheFolder: join(readTestEnvironment(env).cacheFolder, 'helm'),
    packages: { helm: `helm.sh/helm/v${major}/cmd/helm` },
    flags: ['-ldflags', '-s -w'],
    what: `version ${major}, for the tests of the chart`,
    noGo: [
      'go is not there, and it is needed once to build the helm that the tests of the chart run',
      `  either install Go 1.26 or newer (https://go.dev/dl), or set ${variables[major]} to the path of a helm ${major}`,
    ].join('\n'),
  })
  return join(folder, 'helm')
}
