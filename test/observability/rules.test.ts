// The alerts as promtool sees them. That each has a case here, and a runbook, is tested by test/chart/alerts.test.ts.

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
