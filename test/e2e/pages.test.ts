// The commands of the pages for whoever runs the cluster, on one that has never seen Taskbound: installed, looked at, upgraded and removed
// as they say. Left out is what needs a node or a registry, by the list below, and what pages other tests follow word for word.

import { globSync } from 'node:fs'
import { resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { eventually } from '../support/cluster.ts'
import { blocksOf, type Documented } from './support/documented.ts'
import { createFresh, type Fresh, freshTimeout, type Pod } from './support/fresh.ts'

const root = resolve(import.meta.dirname, '../..')
/** run word for word by the test of that name, or by people alone */
const elsewhere: Readonly<Record<string, string>> = {
  'README.md': 'make demo and make test themselves; the rest is that of the tutorial',
  'CONTRIBUTING.md': 'make',
  'docs/tutorials/first-agent.md': 'tutorial.test.ts',
  'docs/operations/disaster.md': 'disaster.test.ts',
  'docs/how-to/stop-an-agent.md': 'stop.test.ts',
  'docs/how-to/run-from-a-checkout.md': 'make demo does the same',
  'docs/explanation/ledger.md': 'postgres/leftovers.test.ts gives a row up',
  'charts/taskbound/README.md': 'installing does the same',
  'docs/how-to/aws.md': 'the AWS command line, at an account of the reader',
  'docs/how-to/github.md': 'an App and an account of the reader',
  'docs/how-to/oauth.md': 'the tests of the provider, against a Keycloak',
  'docs/how-to/vault.md': 'the tests of the provider, against a Vault',
  'docs/how-to/webhook.md': 'test/providers/webhook/conformance.test.ts',
}
const needsNode = /^(npm|make|docker|buildah|kind) |rollout status|helm test|kubectl .*\blogs\b|kubectl .*\btop\b/
/** what a reader puts in for the words in capitals; policy and provider of the quickstart have one name */
const words: Readonly<Record<string, string>> = {
  NAMESPACE: 'taskbound-quickstart',
  NAME: 'close-books',
  TASK: 'close-books',
  PROVIDER: 'quickstart',
  RESOURCE: 'agenttasks',
}

let fresh: Fresh
let docs: Documented

/** The commands of a page, each with its continued lines. */
async function commandsOf(page: string): Promise<readonly string[]> {
  const blocks = (await blocksOf(page)).filter(({ kind }) => kind === 'sh')
  return blocks
    .flatMap(({ text }) => text.replaceAll('\\\n', ' ').split('\n'))
    .map((line) => line.replace(/(clusteragentpolicy|clustercredentialprovider) NAME/, '$1 PROVIDER'))
    .map((line) => line.replaceAll(/\b[A-Z]{4,}\b/g, (word) => words[word] ?? word).trim())
    .filter((line) => line !== '' && !line.startsWith('#') && !needsNode.test(line))
}

async function follow(page: string): Promise<void> {
  const commands = await commandsOf(page)
  expect(commands.length).toBeGreaterThan(0)
  for (const command of commands) await docs.shell(command)
}

/** Does the work of the drain's pod, which no node runs. */
async function drain({ labels }: Pod): Promise<boolean> {
  if (labels['batch.kubernetes.io/job-name'] !== 'taskbound-drain') return false
  await docs.shell(`node src/main.ts drain --kubeconfig "$KUBECONFIG" --drain-timeout-seconds 30`)
  return true
}

beforeAll(async () => {
  fresh = await createFresh()
  docs = fresh.docs
}, freshTimeout)
afterAll(() => fresh?.close())

test('each page with commands is followed here or elsewhere', async () => {
  const pages = globSync('{*.md,docs/**/*.md,charts/**/*.md}', { cwd: root })
  const kinds = new Set<string>()
  const uncovered: string[] = []
  for (const page of pages) {
    for (const { kind } of await blocksOf(page)) kinds.add(kind)
    const followed = page in elsewhere || page.startsWith('docs/runbooks/') || page.startsWith('docs/operations/')
    const known = followed || ['docs/how-to/install.md', 'docs/troubleshooting.md'].includes(page)
    if (!known && (await commandsOf(page)).length > 0) uncovered.push(page)
  }
  expect(uncovered).toEqual([])
  expect([...kinds].filter((kind) => /^(bash|shell|zsh)/.test(kind))).toEqual([])
})

test('the command of the README is that of the tutorial', async () => {
  const of = async (page: string) => (await commandsOf(page)).filter((command) => command.startsWith('helm install'))
  expect(await of('README.md')).toEqual(await of('docs/tutorials/first-agent.md'))
})

test('installed, looked at, upgraded, removed', async () => {
  const install = await commandsOf('docs/how-to/install.md')
  const first = install.findIndex((command) => command.startsWith('kubectl apply'))
  for (const command of install.slice(0, first)) await docs.shell(command)
  await fresh.operate()
  for (const command of install.slice(first)) await docs.shell(command)
  await eventually(async () => expect(await docs.shell('kubectl -n taskbound-quickstart get agenttasks')).toMatch(/close-books .* Active/))

  // what is looked for need not be there
  for (const page of ['docs/troubleshooting.md', ...globSync('docs/runbooks/*.md', { cwd: root })])
    for (const command of await commandsOf(page)) await docs.shell(command.replace(/\| grep (.*)$/, '| { grep $1 || true; }'))

  const values = 'image: {registry: registry.example.com, repository: platform/taskbound}'
  for (const command of await commandsOf('docs/operations/upgrade.md'))
    await docs.shell(`${command.replace(' values.yaml', ' -')} <<< '${values}'`)

  fresh.play('taskbound-system', drain)
  await follow('docs/operations/uninstall.md')
  const left = await docs.shell('kubectl get crd,validatingadmissionpolicies,mutatingadmissionpolicies -o name')
  expect(left).not.toContain('taskbound')
  expect((await docs.kube.request('GET', '/api/v1/namespaces/taskbound-quickstart/secrets/taskbound-close-books')).status).toBe(404)
}, 300_000)
