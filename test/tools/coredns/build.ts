// Finds or builds CoreDNS, from the version pinned beside this file.
import { join } from 'node:path'
import { readTestEnvironment } from '../../cluster/environment.ts'
import { ensureGoTools } from '../build.ts'

/** @returns the path of the executable */
export async function ensureCoreDns(env: NodeJS.ProcessEnv): Promise<string> {
  const folder = await ensureGoTools({
    moduleFolder: import.meta.dirname,
    cacheFolder: join(readTestEnvironment(env).cacheFolder, 'coredns'),
    packages: { coredns: 'github.com/coredns/coredns' },
    flags: ['-ldflags', '-s -w'],
    what: 'the DNS of the test node',
    noGo: 'go is not there, and it is needed once to build the CoreDNS of the test node: install Go 1.26 or newer (https://go.dev/dl)',
  })
  return join(folder, 'coredns')
}
