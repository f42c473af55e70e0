// Finds or builds a Vault server, from the version pinned in the go.mod beside this file. `TASKBOUND_VAULT` names one that is there
// already, Vault or OpenBao. It serves tests and nothing else: nothing of it is shipped.
import { join } from 'node:path'
import { readTestEnvironment } from '../../cluster/environment.ts'
import { ensureGoTools } from '../build.ts'

/** @returns the path of the executable */
export async function ensureVault(env: NodeJS.ProcessEnv): Promise<string> {
  const given = env['TASKBOUND_VAULT']
  if (given) return given
  const folder = await ensureGoTools({
    moduleFolder: import.meta.dirname,
    cacheFolder: join(readTestEnvironment(env).cacheFolder, 'vault'),
    packages: { vault: 'github.com/hashicorp/vault' },
    flags: ['-ldflags', '-s -w'],
    what: 'the server that the tests of the provider `vault` run against',
    noGo: [
      'go is not there, and it is needed once to build the Vault that the tests of its provider run against',
      '  either install Go 1.26 or newer (https://go.dev/dl), or set TASKBOUND_VAULT to the path of a vault or bao',
    ].join('\n'),
  })
  return join(folder, 'vault')
}
