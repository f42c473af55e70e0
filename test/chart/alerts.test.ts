// Alerts speak of what there is: metrics, labels and their values, runbooks. And a release has them as it was asked.

import { globSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { parse } from 'yaml'
import { reasons } from '../../src/api/reasons.ts'
import { root } from '../generate.ts'
import { buildTimeout, createHelm, type Helm, monitoringApis, only } from './helm.ts'
import { groupedBy, metrics, selectorsOf } from './metrics.ts'

interface Alert {
  readonly alert: string
  readonly expr: string
  readonly for?: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}
type Groups = readonly { readonly name: string; readonly rules: readonly Alert[] }[]

let helm: Helm
beforeAll(async () => {
  helm = await createHelm()
}, buildTimeout)

const text = (path: string): string => readFileSync(`${root}${path}`, 'utf8')
const { groups } = parse(text('charts/taskbound/files/alerts.yaml')) as { readonly groups: Groups }
const alerts = groups.flatMap(({ rules }) => rules)

describe.each(alerts.map((alert) => [alert.alert, alert] as const))('%s', (_name, { expr, labels, annotations, ...alert }) => {
  test('names only metrics that exist, of this job, with labels that they have', () => {
    const selectors = selectorsOf(expr)
    expect(selectors.length).toBeGreaterThan(0)
    for (const { metric, matchers } of selectors) {
      expect(metrics.has(metric) ? 'known' : metric).toBe('known')
      expect(matchers[0]).toEqual({ label: 'job', value: 'taskbound' })
      for (const { label } of matchers.slice(1)) expect(metrics.get(metric)).toContain(label)
    }
  })

  test('groups by labels that all its metrics have, and its texts use no others', () => {
    const grouped = groupedBy(expr)
    for (const label of grouped) for (const { metric } of selectorsOf(expr)) expect(metrics.get(metric)).toContain(label)
    const used = [...JSON.stringify(annotations).matchAll(/\$labels\.(\w+)/g)].map(([, label]) => label)
    expect(used.filter((label) => !grouped.includes(label ?? ''))).toEqual([])
  })

  test('says what is wrong: a summary that is always the same, and a description', () => {
    expect(alert.alert).toMatch(/^Taskbound[A-Z][A-Za-z]+$/)
    expect(Object.keys(labels)).toEqual(['severity'])
    expect(['critical', 'warning', 'info']).toContain(labels['severity'])
    expect(Object.keys(annotations)).toEqual(['summary', 'description'])
    expect(annotations['summary']).toMatch(/^[A-Z][^{}]{15,}\.$/)
    expect(annotations['description']).toMatch(/\.$/)
  })

  test('has a runbook that begins with its name and its severity', () => {
    const page = text(`docs/runbooks/${alert.alert}.md`)
    expect(page).toMatch(new RegExp(`^# ${alert.alert}\n\nSeverity: ${labels['severity']}\\.\n\n`))
    expect(page.match(/^## .*$/gm)).toEqual(['## Impact', '## Where to look', '## What to do'])
  })
})

test('every runbook has an alert, and no alert is there twice', () => {
  const pages = globSync('docs/runbooks/*.md', { cwd: root }).map((path) => basename(path, '.md'))
  expect(alerts.map(({ alert }) => alert).sort()).toEqual(pages.sort())
})

test('for each alert test/chart/alerts-test.yaml has a time when it fires and times when it does not', () => {
  const { tests } = parse(text('test/chart/alerts-test.yaml')) as {
    readonly tests: readonly {
      readonly name: string
      readonly promql_expr_test: readonly { readonly expr: string; readonly exp_samples: readonly object[] }[]
    }[]
  }
  expect(tests.map(({ name }) => name)).toEqual(alerts.map(({ alert }) => alert))
  for (const { name, promql_expr_test: cases } of tests) {
    expect(cases.every(({ expr }) => expr.includes(`alertname="${name}"`))).toBe(true)
    expect(cases.map(({ exp_samples }) => exp_samples.length)).toEqual([1, 0, 0])
  }
})

test('runbooks name only metrics and values that exist', () => {
  const values = text('charts/taskbound/README.md')
  for (const path of globSync('docs/runbooks/*.md', { cwd: root })) {
    const page = text(path)
    for (const [name] of page.matchAll(/\btaskbound_\w+/g))
      expect([path, name, metrics.has(name) || metrics.has(`${name}_count`)]).toEqual([path, name, true])
    for (const [, name = ''] of page.matchAll(/`((?:settings|metrics|rbac)\.[\w.]+)`/g))
      expect([path, values.includes(`| \`${name}\` |`)]).toEqual([path, true])
  }
})

test('values of labels are words that the operator uses', () => {
  const valuesOf = (label: string) => {
    const found = alerts.flatMap(({ expr }) => selectorsOf(expr).flatMap(({ matchers }) => matchers))
    return new Set(found.filter((matcher) => matcher.label === label).flatMap(({ value }) => value.split('|')))
  }
  for (const reason of valuesOf('reason')) expect(Object.keys(reasons)).toContain(reason)
  expect([...valuesOf('state')].sort()).toEqual(['Broken', 'Outdated', 'Overdue'])
  for (const state of valuesOf('state')) expect(text('src/telemetry/snapshot.ts')).toContain(`'${state}'`)
  expect([...valuesOf('decision')]).toEqual(['deny'])
  expect([...valuesOf('result')].sort()).toEqual(['failure', 'retry'])
  const buckets = text('src/telemetry/metrics.ts')
    .match(/overrun: \[(.*)\]/)?.[1]
    ?.split(', ')
  for (const bound of valuesOf('le')) expect(buckets).toContain(bound)
})

describe('in a release', () => {
  const rulesOf = (rules: object, values: object = {}): readonly Alert[] => {
    const objects = helm.render({ metrics: { rules: { enabled: true, ...rules } }, ...values }, { apiVersions: monitoringApis })
    return (only(objects, 'PrometheusRule').spec.groups as Groups).flatMap((group) => group.rules)
  }
  const find = (rules: readonly Alert[], name: string): Alert | undefined => rules.find(({ alert }) => alert === name)

  test('are all alerts as they are written, with the page of each', () => {
    expect(rulesOf({})).toEqual(
      alerts.map((alert) => ({ ...alert, annotations: { ...alert.annotations, runbook: `docs/runbooks/${alert.alert}.md` } })),
    )
  })

  test('are selected by the job that the monitors set, or as is asked', () => {
    const own = helm.render({ metrics: { rules: { enabled: true } } }, { name: 'prod', apiVersions: monitoringApis })
    expect(JSON.stringify(only(own, 'PrometheusRule'))).not.toContain('job=\\"taskbound\\"')
    expect(JSON.stringify(only(own, 'PrometheusRule'))).toContain('job=\\"prod-taskbound\\"')
    const selector = 'job="ops/taskbound",cluster="a"'
    expect(find(rulesOf({ selector }), 'TaskboundNoLeader')?.expr).toBe(`max(taskbound_leader{${selector}}) < 1`)
  })

  test('can be left out and changed one by one', () => {
    const rules = rulesOf({
      runbookUrl: 'https://runbooks.example.com',
      disabled: ['TaskboundSeriesFolded'],
      extraLabels: { team: 'platform' },
      overrides: { TaskboundWorkqueueBacklog: { for: '30m', labels: { severity: 'critical' } } },
    })
    expect(rules).toHaveLength(alerts.length - 1)
    expect(find(rules, 'TaskboundSeriesFolded')).toBeUndefined()
    expect(find(rules, 'TaskboundWorkqueueBacklog')).toMatchObject({ for: '30m', labels: { severity: 'critical', team: 'platform' } })
    expect(find(rules, 'TaskboundNoLeader')).toMatchObject({
      for: '2m',
      labels: { severity: 'critical', team: 'platform' },
      annotations: { runbook_url: 'https://runbooks.example.com/TaskboundNoLeader.md' },
    })
  })

  test('do not ask for a second replica where one was asked for', () => {
    expect(find(rulesOf({}, { replicaCount: 1 }), 'TaskboundNotRedundant')).toBeUndefined()
  })
})
