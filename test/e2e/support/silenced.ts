// Sources that a test can silence, one of each kind of provider that has one: behind a proxy that swallows everything.

import { startFake } from '../../providers/oauth/fake.ts'
import { type HoldingProxy, startHoldingProxy } from '../../support/faults/holding.ts'
import type { RunningOperator } from '../../support/operator.ts'
import { createAuthorized } from './authorized.ts'
import { createDatabase } from './database.ts'
import { createHooked } from './hooked.ts'
import { createHubbed } from './hubbed.ts'
import { digest, type Scenario } from './scenario.ts'
import { createVaulted } from './vaulted.ts'

export interface Silenced {
  readonly type: string
  /** name of the ClusterCredentialProvider */
  readonly provider: string
  /** of its credential in a task */
  readonly credential: string
  readonly proxy: Pick<HoldingProxy, 'swallow' | 'allow'>
  /** Makes the provider, where it must know the operator first. */
  trust(operator: RunningOperator): Promise<void>
  task(name: string): Promise<unknown>
  /** What its Secret holds by which it is found among what is alive; `undefined` while there is none. */
  given(task: string): Promise<string | undefined>
  /** What works at the source now. */
  alive(): Promise<readonly string[]>
  close(): Promise<void>
}

const spec = { activeDeadlineSeconds: 86_400 }
const nothing = async (): Promise<void> => undefined

/** Longer than the test takes: what is alive is not renewed meanwhile, and dies by nothing but its end. */
const long = 3600

/** How each is made; a new type is an entry here. */
const makers: Readonly<Record<string, (scenario: Scenario) => Promise<Silenced>>> = {
  async githubApp(scenario) {
    let proxy = undefined as unknown as HoldingProxy
    const hubbed = await createHubbed(scenario, {
      async reach({ address, caBundle }) {
        proxy = await startHoldingProxy(Number(new URL(address).port))
        return { address: `https://localhost:${proxy.port}`, caBundle }
      },
    })
    return {
      type: 'githubApp',
      provider: String((hubbed.credential['providerRef'] as { name: string }).name),
      credential: 'git',
      proxy,
      trust: nothing,
      task: (name) => hubbed.task(name, { ttlSeconds: long }),
      given: (task) => digestOf(scenario, task, 'git.token'),
      alive: async () => hubbed.fake.alive().map(digest),
      async close() {
        await hubbed.close()
        await proxy.close()
      },
    }
  },
  async oauth(scenario) {
    const authorized = createAuthorized(scenario, long)
    const fake = await startFake()
    const proxy = await startHoldingProxy(Number(new URL(fake.issuer).port))
    fake.issuer = `https://localhost:${proxy.port}`
    return {
      type: 'oauth',
      provider: String((authorized.credential['providerRef'] as { name: string }).name),
      credential: 'api',
      proxy,
      trust: (operator) => authorized.provideAt(fake, operator),
      task: (name) => authorized.task(name, spec),
      given: (task) => digestOf(scenario, task, 'api'),
      alive: async () => fake.living().map(digest),
      async close() {
        await authorized.close()
        await fake.close()
        await proxy.close()
      },
    }
  },
  async postgres(scenario) {
    let proxy = undefined as unknown as HoldingProxy
    const database = await createDatabase(scenario, {}, async ({ port }) => {
      proxy = await startHoldingProxy(port)
      return proxy.port
    })
    return {
      type: 'postgres',
      provider: database.name,
      credential: 'db',
      proxy,
      trust: nothing,
      task: (name) => database.task(name, spec, { ttlSeconds: long }),
      given: async (task) => (await database.given(task))?.username,
      alive: database.alive,
      async close() {
        await database.close()
        await proxy.close()
      },
    }
  },
  async vault(scenario) {
    let proxy = undefined as unknown as HoldingProxy
    const vaulted = await createVaulted(scenario, async ({ port, ca }) => {
      proxy = await startHoldingProxy(port)
      return { address: `https://localhost:${proxy.port}`, caBundle: ca }
    })
    return {
      type: 'vault',
      provider: String((vaulted.credential['providerRef'] as { name: string }).name),
      credential: 'db',
      proxy,
      trust: vaulted.trust,
      task: (name) => vaulted.task(name, spec),
      given: (task) => fieldOf(scenario, task, 'db.username'),
      alive: vaulted.alive,
      async close() {
        await vaulted.close()
        await proxy.close()
      },
    }
  },
  async webhook(scenario) {
    let proxy = undefined as unknown as HoldingProxy
    const hooked = await createHooked(scenario, {
      async through(port) {
        proxy = await startHoldingProxy(port)
        return proxy.port
      },
    })
    return {
      type: 'webhook',
      provider: hooked.name,
      credential: 'api',
      proxy,
      trust: nothing,
      // as short as may be: what ends during an outage of five minutes has outlived itself when the source returns
      task: (name) => scenario.task({ name, spec, credential: { ...hooked.credential, ttlSeconds: 300 } }),
      given: (task) => fieldOf(scenario, task, 'api'),
      alive: async () => [...hooked.alive().values()],
      async close() {
        await hooked.close()
        await proxy.close()
      },
    }
  },
}

async function fieldOf(scenario: Scenario, task: string, key: string): Promise<string | undefined> {
  const { status, body } = await scenario.kube.request('GET', scenario.path('secrets', `taskbound-${task}`))
  const value: unknown = status === 200 ? body.data?.[key] : undefined
  return typeof value === 'string' ? Buffer.from(value, 'base64').toString() : undefined
}

async function digestOf(scenario: Scenario, task: string, key: string): Promise<string | undefined> {
  const token = await fieldOf(scenario, task, key)
  return token === undefined ? undefined : digest(token)
}

export const createSilenced = (scenario: Scenario): Promise<readonly Silenced[]> =>
  Promise.all(Object.values(makers).map((make) => make(scenario)))
