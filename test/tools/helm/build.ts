// Finds or builds helm, from the version pinned in the go.mod beside this file: `TASKBOUND_HELM` names one that is there already.
import { join } from 'node:path'
import { readTestEnvironment } from '../../cluster/environment.ts'
import { ensureGoTools } from '../build.ts'

const noGo = [
  'go is not there, and it is needed once to build the helm that the tests of the chart run',
  '  either install Go 1.26 or newer (https://go.dev/dl), or set TASKBOUND_HELM to the path of a helm',
].join('\n')

/** @returns the path of the executable */
export async function ensureHelm(env: NodeJS.ProcessEnv): Promise<string> {
  const given = env['TASKBOUND_HELM']
  if (given) return given
  const folder = await ensureGoTools({
    moduleFolder: import.meta.dirname,
    cacheFolder: join(readTestEnvironment(env).cacheFolder, 'helm'),
    packages: { helm: 'helm.sh/helm/v4/cmd/helm' },
    flags: ['-ldflags', '-s -w'],
    what: 'for the tests of the chart',
    noGo,
  })
  return join(folder, 'helm')
}
