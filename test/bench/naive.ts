// A contestant: the operator that the client library's own examples lead to, `makeInformer` and the generated API, as a process of its own.
// It makes the five writes of a life with the bodies it was given, as the operator's user; it decides, signs and repeats nothing.

import {
  CoreV1Api,
  CustomObjectsApi,
  KubeConfig,
  type KubernetesListObject,
  type KubernetesObject,
  makeInformer,
  PatchStrategy,
  setHeaderOptions,
} from '@kubernetes/client-node'
import { as, bodiesOf, type Costs, type Sample } from './contestants.ts'

interface Task extends KubernetesObject {
  readonly spec?: { readonly end?: string }
}

const input = JSON.parse(process.env['NAIVE'] ?? '{}') as { kubeconfig: string; sample: Sample }
const body = bodiesOf(input.sample)
const config = new KubeConfig()
config.loadFromFile(input.kubeconfig)
Object.assign(config.getCurrentUser() ?? {}, { impersonateUser: as })
const [core, custom] = [config.makeApiClient(CoreV1Api), config.makeApiClient(CustomObjectsApi)]
const kind = { group: 'taskbound.dev', version: 'v1alpha1', plural: 'agenttasks' }
const mergePatch = setHeaderOptions('Content-Type', PatchStrategy.MergePatch)

const list = (): Promise<KubernetesListObject<Task>> => custom.listClusterCustomObject(kind)
const informer = makeInformer<Task>(config, `/apis/${kind.group}/${kind.version}/${kind.plural}`, list)
const steps = new Map<string, 'issuing' | 'live' | 'over'>()
let [writes, passes, failures] = [0, 0, 0]

async function pass(task: Task): Promise<void> {
  const { name = '', namespace = '', uid = '' } = task.metadata ?? {}
  const made = (part: Parameters<typeof body>[0]): object => body(part, namespace, name, uid)
  const status = async (part: 'intent' | 'active' | 'over'): Promise<void> => {
    await custom.patchNamespacedCustomObjectStatus({ ...kind, namespace, name, body: made(part) }, mergePatch)
    writes += 1
  }
  if (!steps.has(uid)) {
    steps.set(uid, 'issuing')
    await status('intent')
    await core.createNamespacedSecret({ namespace, body: made('secret') })
    writes += 1
    await status('active')
    steps.set(uid, 'live')
    // it may have ended meanwhile
    const now = informer.get(name, namespace)
    if (now !== undefined) await pass(now)
  } else if (task.spec?.end !== undefined && steps.get(uid) === 'live') {
    steps.set(uid, 'over')
    await core.deleteNamespacedSecret({ namespace, name: `taskbound-${name}`, propagationPolicy: 'Background' })
    writes += 1
    await status('over')
  }
}

const take = (task: Task): void => {
  passes += 1
  pass(task).catch((error: Error) => {
    failures += 1
    if (failures < 4) console.error(`naive operator: ${error.message}`)
  })
}
informer.on('add', take)
informer.on('update', take)
informer.on('delete', ({ metadata }) => void steps.delete(metadata?.uid ?? ''))
informer.on('error', () => setTimeout(() => informer.start(), 5000))
process.on('message', () => {
  const { user, system } = process.cpuUsage()
  const costs: Costs = { cpuSeconds: (user + system) / 1e6, rssMb: process.memoryUsage.rss() / 1e6, writes, reads: 0, passes }
  process.send?.({ costs, failures })
})
process.on('disconnect', () => process.exit())
await informer.start()
process.send?.({ started: true })
