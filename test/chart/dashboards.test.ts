// Dashboards ask only for what there is, and are built as Grafana wants them. That they are what is generated, and that every expression is
// PromQL and answers, is tested elsewhere.

import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { dashboards } from '../generate/dashboards/dashboards.ts'
import { root } from '../generate.ts'
import { buildTimeout, createHelm, type Helm, type Manifest, only } from './helm.ts'
import { groupedBy, metrics, selectorsOf } from './metrics.ts'

interface Target {
  readonly refId: string
  readonly expr: string
  readonly legendFormat?: string
  readonly instant?: boolean
  readonly range?: boolean
  readonly datasource: object
}
interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly datasource?: object
  readonly targets?: readonly Target[]
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } }
}
interface Dashboard {
  readonly uid: string
  readonly title: string
  readonly tags: readonly string[]
  readonly schemaVersion: number
  readonly templating: { readonly list: readonly { readonly name: string; readonly type: string }[] }
  readonly panels: readonly Panel[]
}

let helm: Helm
beforeAll(async () => {
  helm = await createHelm()
}, buildTimeout)

const read = (path: string): Dashboard => JSON.parse(readFileSync(`${root}${path}`, 'utf8')) as Dashboard
const all = dashboards.map(({ path }) => [path, read(path)] as const)
/** Metrics that clients of Prometheus have in common. */
const common = /\b(?:process|nodejs)_\w+/g
const chosen = { type: 'prometheus', uid: '$' + '{datasource}' }

describe.each(all)('%s', (_path, board) => {
  const drawn = board.panels.filter(({ type }) => type !== 'row')
  const targets = drawn.flatMap(({ targets = [] }) => targets)

  test('has a stable name, and is found by its tag', () => {
    expect(board.uid).toMatch(/^taskbound-[a-z]+$/)
    expect(board.title).toMatch(/^Taskbound \/ [A-Z]/)
    expect(board.tags).toEqual(['taskbound'])
    expect(board.schemaVersion).toBeGreaterThanOrEqual(39)
  })

  test('panels have ids of their own, fill the width and do not lie on each other', () => {
    expect(new Set(board.panels.map(({ id }) => id)).size).toBe(board.panels.length)
    const cells = new Set<string>()
    for (const { title, gridPos } of board.panels) {
      expect([title, gridPos.w > 0 && gridPos.h > 0 && gridPos.x >= 0 && gridPos.x + gridPos.w <= 24]).toEqual([title, true])
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect([title, cells.has(`${x}/${y}`)]).toEqual([title, false])
          cells.add(`${x}/${y}`)
        }
      }
    }
    const bottom = Math.max(...board.panels.map(({ gridPos }) => gridPos.y + gridPos.h))
    expect(cells.size).toBe(24 * bottom)
  })

  test('every panel says what it shows, in which unit, from the chosen data source', () => {
    expect(new Set(drawn.map(({ title }) => title)).size).toBe(drawn.length)
    for (const { title, description, datasource, fieldConfig, targets: asked = [] } of drawn) {
      expect(title).toMatch(/^[A-Z]/)
      expect(description).toMatch(/^[A-Z].{20,}\.$/)
      expect([title, typeof fieldConfig?.defaults.unit]).toEqual([title, 'string'])
      expect([datasource, ...asked.map((target) => target.datasource)]).toEqual(Array.from({ length: asked.length + 1 }, () => chosen))
      expect(asked.length).toBeGreaterThan(0)
      expect(new Set(asked.map(({ refId }) => refId)).size).toBe(asked.length)
    }
  })

  test('asks for metrics and labels that exist, of the chosen job and namespaces', () => {
    for (const { expr, legendFormat } of targets) {
      const selectors = selectorsOf(expr)
      expect(selectors.length > 0 || expr.match(common) !== null).toBe(true)
      for (const { metric, matchers } of selectors) {
        expect(metrics.has(metric) ? 'known' : metric).toBe('known')
        expect(matchers[0]).toEqual({ label: 'job', value: '$job' })
        for (const { label } of matchers.slice(1)) expect(metrics.get(metric)).toContain(label)
        if (metrics.get(metric)?.includes('namespace')) expect(matchers).toContainEqual({ label: 'namespace', value: '$namespace' })
        for (const label of groupedBy(expr)) expect([metric, metrics.get(metric)]).toEqual([metric, expect.arrayContaining([label])])
      }
      const named = [...(legendFormat ?? '').matchAll(/\{\{(\w+)\}\}/g)].map(([, label = '']) => label)
      for (const label of named) expect([expr, [...groupedBy(expr), 'le', 'instance'].includes(label)]).toEqual([expr, true])
    }
  })

  test('rates are over what fits the scrape interval, and only known variables are used', () => {
    const names = board.templating.list.map(({ name }) => name)
    expect(board.templating.list[0]).toMatchObject({ name: 'datasource', type: 'datasource' })
    for (const { expr } of targets) {
      for (const [, range] of expr.matchAll(/\[([^\]]+)\]/g)) expect(['$__rate_interval', '$__range']).toContain(range)
      if (/\brate\(/.test(expr)) expect(expr).toContain('$__rate_interval')
      const used = [...expr.matchAll(/\$(\w+)/g)].map(([, name = '']) => name).filter((name) => !name.startsWith('__'))
      expect(used.filter((name) => !names.includes(name))).toEqual([])
    }
  })
})

test('every metric is looked at by an alert or a panel', () => {
  const asked = [readFileSync(`${root}charts/taskbound/files/alerts.yaml`, 'utf8'), ...all.map(([, board]) => JSON.stringify(board))].join()
  const unused = [...metrics.keys()].filter((name) => !asked.includes(name.replace(/_(?:bucket|count|sum)$/, '')))
  expect(unused).toEqual([])
})

test('a release has all of them where it is asked, for the sidecar of Grafana to find', () => {
  expect(helm.render({}).filter(({ metadata }) => metadata.name.endsWith('-dashboards'))).toEqual([])
  const given = { metrics: { dashboards: { enabled: true, annotations: { grafana_folder: 'Taskbound' } } } }
  const { metadata, data } = only(helm.render(given), 'ConfigMap', 'taskbound-dashboards') as Manifest & {
    readonly data: Readonly<Record<string, string>>
  }
  expect(metadata.labels).toMatchObject({ grafana_dashboard: '1' })
  expect(metadata.annotations).toEqual({ grafana_folder: 'Taskbound' })
  const found = Object.values(data).map((text) => JSON.parse(text) as Dashboard)
  expect(found).toEqual(expect.arrayContaining(all.map(([, board]) => board)))
  expect(Object.keys(data)).toHaveLength(all.length)
  // an object of the cluster, with what Helm keeps of it, has room for 1 MiB
  expect(JSON.stringify(data).length).toBeLessThan(300_000)
})
