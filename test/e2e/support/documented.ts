// Runs what a page of documentation says: its commands in a shell as a reader's would be, the programs in its ConfigMaps with the rights
// that it gives them, and the tables that it shows, compared with what kubectl prints. Plays the kubelet, which the test bed lacks.

import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { parseAllDocuments } from 'yaml'
import { type ConnectOptions, connect, eventually, type KubeTestClient } from '../../support/cluster.ts'

const root = resolve(import.meta.dirname, '../../..')

export interface Block {
  /** what stands behind the three backticks: `sh`, `console`, `yaml`, and maybe a word more that a test goes by */
  readonly kind: string
  readonly text: string
}

export interface Program {
  /** Resolves once the output matches; an end before that rejects with all that was said. */
  says(pattern: RegExp, timeoutMs?: number): Promise<void>
  /** Resolves when it has ended well. */
  ended(): Promise<void>
  kill(): Promise<void>
}

export interface Documented {
  readonly kube: KubeTestClient
  /** Runs a script as a reader would type it, from the checkout, each line to succeed. Answers both streams. */
  shell(script: string, env?: Readonly<Record<string, string>>): Promise<string>
  /** Runs all `sh` blocks of a page, in order. */
  commands(page: string): Promise<void>
  /** Starts `entry` of a ConfigMap in the file, as its pod would: with the ServiceAccount's own token. */
  program(file: string, entry: string, serviceAccount: string, env: Readonly<Record<string, string>>): Promise<Program>
  /** A request with the rights of a ServiceAccount. Answers the status code. */
  as(namespace: string, serviceAccount: string, method: string, path: string): Promise<number>
  /** Waits for so many unfinished pods of a selector, and says in place of a kubelet how they went. Answers their names. */
  finish(namespace: string, selector: string, count?: number, phase?: 'Succeeded' | 'Failed'): Promise<readonly string[]>
  /** Waits until the commands in the `console` blocks of a page print what it shows, but for times and generated names. */
  shows(page: string, timeoutMs?: number): Promise<void>
  /** The same for the text of one block: a command after `$ `, and below it what it prints. */
  prints(text: string, page: string, timeoutMs?: number): Promise<void>
  close(): Promise<void>
}

/** The blocks of a page, in order. */
export async function blocksOf(page: string): Promise<readonly Block[]> {
  const text = await readFile(join(root, page), 'utf8')
  return [...text.matchAll(/^( *)```(.+)\n([\s\S]*?)^\1```$/gm)].map(([, indent = '', kind = '', body = '']) => ({
    kind,
    text: body.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  }))
}

export interface DocumentedOptions {
  /** further programs for the PATH, by name */
  readonly tools?: Readonly<Record<string, string>>
  /** default: the cluster of the global set-up */
  readonly access?: ConnectOptions
}

export async function createDocumented({ tools = {}, access = {} }: DocumentedOptions = {}): Promise<Documented> {
  const kube = connect(access)
  const folder = await mkdtemp(join(tmpdir(), 'taskbound-documented-'))
  const bin = join(folder, 'bin')
  await mkdir(bin)
  const kubectl = access.kubectl ?? process.env['TASKBOUND_TEST_KUBECTL']
  const named = { ...(kubectl?.startsWith('/') ? { kubectl } : {}), ...tools }
  for (const [name, file] of Object.entries(named)) await symlink(file, join(bin, name))
  const running: Program[] = []

  async function shell(script: string, env: Readonly<Record<string, string>> = {}): Promise<string> {
    const path = `${bin}${delimiter}${process.env['PATH']}`
    const home = { HOME: folder, HELM_CACHE_HOME: folder, HELM_CONFIG_HOME: folder, HELM_DATA_HOME: folder }
    const { stdout, stderr } = await promisify(execFile)('bash', ['--norc', '-euo', 'pipefail', '-c', script], {
      cwd: root,
      env: { PATH: path, KUBECONFIG: kube.kubeconfig, ...home, ...env },
    })
    return stdout + stderr
  }

  async function token(namespace: string, serviceAccount: string): Promise<string> {
    const { status } = await kube.must('POST', `/api/v1/namespaces/${namespace}/serviceaccounts/${serviceAccount}/token`, {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: {},
    })
    return status.token
  }

  async function prints(text: string, page: string, timeoutMs = 30_000): Promise<void> {
    const [command = '', ...lines] = text.replaceAll(/\\\n */g, '').split('\n')
    const promised = rows(lines.join('\n')).join('\n')
    await eventually(
      async () => {
        // a no is an answer too, as of `kubectl auth can-i`
        const found = rows(await shell(`(${command.replace(/^\$ /, '')}) 2>&1 || true`)).join('\n')
        if (found !== promised) throw new Error(`${page} shows\n${promised}\nand it is\n${found}`)
      },
      { timeoutMs, everyMs: 200 },
    )
  }

  return {
    kube,
    shell,
    async commands(page) {
      for (const { kind, text } of await blocksOf(page)) if (kind === 'sh') await shell(text)
    },
    async program(file, entry, serviceAccount, env) {
      const objects = parseAllDocuments(await readFile(join(root, file), 'utf8')).map((document) => document.toJS())
      const { metadata, data } = objects.find((object) => object.kind === 'ConfigMap' && entry in object.data)
      const home = await mkdtemp(join(folder, `${metadata.name}-`))
      for (const [name, text] of Object.entries(data as Record<string, string>)) await writeFile(join(home, name), text)
      await writeFile(join(home, 'namespace'), metadata.namespace)
      await writeFile(join(home, 'ca.crt'), kube.endpoint.ca ?? '')
      await writeFile(join(home, 'token'), await token(metadata.namespace, serviceAccount))
      const child = spawn(process.execPath, [join(home, entry)], {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { NODE_EXTRA_CA_CERTS: join(home, 'ca.crt'), API: kube.endpoint.server, ACCOUNT: home, ...env },
      })
      const program = follow(child)
      running.push(program)
      return program
    },
    async as(namespace, serviceAccount, method, path) {
      const { status } = await kube.request(method, path, undefined, { token: await token(namespace, serviceAccount) })
      return status
    },
    async finish(namespace, selector, count = 1, phase = 'Succeeded') {
      const path = `/api/v1/namespaces/${namespace}/pods`
      const names = await eventually(
        async () => {
          const { items } = await kube.must(
            'GET',
            `${path}?fieldSelector=status.phase%3DPending&labelSelector=${encodeURIComponent(selector)}`,
          )
          if (items.length !== count) throw new Error(`${items.length} unfinished pods of ${selector}, not ${count}`)
          return (items as { metadata: { name: string } }[]).map((pod) => pod.metadata.name)
        },
        { timeoutMs: 20_000 },
      )
      const merge = { contentType: 'application/merge-patch+json' }
      for (const name of names) await kube.must('PATCH', `${path}/${name}/status`, { status: { phase } }, merge)
      return names
    },
    async shows(page, timeoutMs) {
      const shown = (await blocksOf(page)).filter(({ kind }) => kind === 'console')
      if (shown.length === 0) throw new Error(`${page} shows nothing`)
      for (const { text } of shown) await prints(text, page, timeoutMs)
    },
    prints,
    async close() {
      await Promise.all(running.map((program) => program.kill()))
      await rm(folder, { recursive: true })
      await kube.close()
    },
  }
}

/** Lines of a table without what differs from time to time: times, ages, and the ends of generated names. */
function rows(text: string): readonly string[] {
  return text
    .split('\n')
    .map((line) =>
      line
        .replace(/\b\d{4}-\d\d-\d\dT[\d:]+Z/, '')
        .replace(/\s\d+[smhd](\d+[smhd])?\s*$/, '')
        .replace(/^unit-\S+/, 'unit-*')
        .replace(/\s+/g, ' ')
        .trim(),
    )
    .filter((line) => line !== '')
}

function follow(child: ReturnType<typeof spawn>): Program {
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk
    })
  const gone = once(child, 'close') as Promise<[number | null]>
  return {
    async says(pattern, timeoutMs = 20_000) {
      await eventually(
        () => {
          if (pattern.test(output)) return
          throw new Error(`${child.exitCode === null ? 'it said' : 'it ended and had said'}: ${output}`)
        },
        { timeoutMs },
      )
    },
    async ended() {
      const [code] = await gone
      if (code !== 0) throw new Error(`it ended with ${code}: ${output}`)
    },
    async kill() {
      child.kill('SIGKILL')
      await gone
    },
  }
}
