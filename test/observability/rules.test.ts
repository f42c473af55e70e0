// The alerts as promtool sees them. That each has a case here, and a runbook, is tested by test/chart/alerts.test.ts.

import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { root } from '../generate.ts'
import { promtool } from './prometheus.ts'

const path = (file: string): string => join(root, file)

test('the rules have no fault and nothing that promtool warns about', async () => {
  const { code, output } = await promtool(['check', 'rules', '--lint=all', '--lint-fatal', path('charts/taskbound/files/alerts.yaml')])
  expect([code, output]).toEqual([0, expect.stringContaining('SUCCESS')])
})

test('every alert fires when it should, not before, and clears', async () => {
  const { code, output } = await promtool(['test', 'rules', path('test/chart/alerts-test.yaml')])
  expect([code, output]).toEqual([0, expect.stringContaining('SUCCESS')])
})

test('a Prometheus takes the configuration of the page on monitoring', async () => {
  const page = await readFile(path('docs/operations/monitoring.md'), 'utf8')
  const [, text = ''] = /```yaml fragment\n(scrape_configs:[\s\S]*?)```/.exec(page) ?? []
  // Debian builds its Prometheus without what finds pods: that part is left to the reader of the page
  const config = text.replace(/^ *kubernetes_sd_configs:\n.*\n/m, '')
  expect(config.length).toBeLessThan(text.length)
  const folder = await mkdtemp(join(tmpdir(), 'taskbound-prometheus-'))
  await writeFile(join(folder, 'prometheus.yml'), config)
  await copyFile(path('charts/taskbound/files/alerts.yaml'), join(folder, 'alerts.yaml'))
  const { code, output } = await promtool(['check', 'config', join(folder, 'prometheus.yml')])
  await rm(folder, { recursive: true })
  expect([code, output]).toEqual([0, expect.stringContaining('is valid prometheus config')])
})
