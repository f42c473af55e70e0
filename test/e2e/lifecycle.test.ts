import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { commandLine } from '../cluster/processes.ts'
import { startCluster } from '../cluster/start.ts'
import { eventually } from '../support/cluster.ts'

const minute = 60_000

test(
  'two clusters start at once, one restarts its API server with its data, and neither leaves a process or a folder',
  async () => {
    const clusters = await Promise.all([startCluster(), startCluster({ withoutControllers: true })])
    const pids = clusters.flatMap((cluster) => Object.values(cluster.pids()))
    expect(pids).toHaveLength(7)
    expect(new Set(clusters.map(({ server }) => server)).size).toBe(2)
    const [first] = clusters
    expect(await first.admin.request('POST', '/api/v1/namespaces', { metadata: { name: 'kept' } })).toMatchObject({ status: 201 })
    await first.restartApiServer()
    pids.push(first.pids().apiServer as number)
    expect(new Set(pids).size).toBe(8)
    expect(await first.admin.request('GET', '/api/v1/namespaces/kept')).toMatchObject({ status: 200 })
    await first.stopApiServer('SIGKILL')
    await expect(first.admin.request('GET', '/readyz')).rejects.toThrow()
    await Promise.all(clusters.map((cluster) => cluster.stop()))
    expect(pids.map(commandLine).filter((line) => line !== undefined)).toEqual([])
    expect(clusters.map(({ dir }) => existsSync(dir))).toEqual([false, false])
  },
  minute,
)

test(
  'a cluster whose owner is killed leaves no process and no folder',
  async () => {
    const script = `
    import { startCluster } from ${JSON.stringify(join(import.meta.dirname, '../cluster/start.ts'))}
    const cluster = await startCluster()
    process.stdout.write(JSON.stringify({ pids: Object.values(cluster.pids()), dir: cluster.dir }))
    setInterval(() => {}, 1000)`
    const owner = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [line] = await once(owner.stdout, 'data')
    const { pids, dir }: { pids: number[]; dir: string } = JSON.parse(String(line))
    expect(pids.map(commandLine)).not.toContain(undefined)
    owner.kill('SIGKILL')
    await eventually(() => {
      expect(pids.map(commandLine).filter((left) => left !== undefined)).toEqual([])
      expect(existsSync(dir)).toBe(false)
    })
  },
  minute,
)
