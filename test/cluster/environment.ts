// What the test bed takes from the environment: the only reader of it under test/cluster.
// Must not start, build or look for anything.
import { homedir } from 'node:os'
import { join } from 'node:path'

export interface TestEnvironment {
  /** Where built binaries are kept between clones: `$XDG_CACHE_HOME/taskbound`, else `~/.cache/taskbound`. */
  readonly cacheFolder: string
  /** A folder with etcd, kube-apiserver and kubectl that the user has already (`KUBEBUILDER_ASSETS`, as envtest names it). */
  readonly assetsFolder?: string
  /** The user's own cluster, to be used instead of one of ours. */
  readonly kubeconfig?: string
}

/** `TASKBOUND_TEST_USE_KUBECONFIG=0` makes a `KUBECONFIG` that happens to be set mean nothing. */
export function readTestEnvironment(env: NodeJS.ProcessEnv): TestEnvironment {
  const assetsFolder = env['KUBEBUILDER_ASSETS']
  const kubeconfig = env['TASKBOUND_TEST_USE_KUBECONFIG'] === '0' ? undefined : env['KUBECONFIG']
  return {
    cacheFolder: join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'taskbound'),
    ...(assetsFolder ? { assetsFolder } : {}),
    ...(kubeconfig ? { kubeconfig } : {}),
  }
}

/** A line for the person who waits. On stderr, so that stdout stays for what a script reads. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`)
}
