// The kinds of the Prometheus operator as it defines them itself, from the version pinned in the folder beside this file.
// Must not write where the files are: it is Go's own cache.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../support/cluster.ts'

const module = 'github.com/prometheus-operator/prometheus-operator'

/** @returns the CRDs of what the chart can make, as YAML */
export async function monitoringKinds(): Promise<string> {
  const args = ['-C', join(import.meta.dirname, 'monitoring'), 'mod', 'download', '-json', module]
  const { code, stdout, stderr } = await run('go', args)
  if (code !== 0) throw new Error(`go ${args.join(' ')}: ${stderr}${stdout}`)
  const { Dir: folder } = JSON.parse(stdout) as { readonly Dir: string }
  const read = (plural: string) => readFile(join(folder, `example/prometheus-operator-crd/monitoring.coreos.com_${plural}.yaml`), 'utf8')
  return (await Promise.all(['servicemonitors', 'podmonitors', 'prometheusrules'].map(read))).join('\n---\n')
}
