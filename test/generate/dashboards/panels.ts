// Panels as rows of a table: what is asked, what it means, and how it is drawn. Everything that all panels have in common is here.

import * as bargauge from '@grafana/grafana-foundation-sdk/bargauge'
import type { Builder } from '@grafana/grafana-foundation-sdk/cog'
import {
  BarGaugeDisplayMode,
  BigValueColorMode,
  BigValueGraphMode,
  GraphGradientMode,
  LegendDisplayMode,
  LegendPlacement,
  ReduceDataOptionsBuilder,
  StackingConfigBuilder,
  StackingMode,
  VizLegendOptionsBuilder,
  VizOrientation,
} from '@grafana/grafana-foundation-sdk/common'
import {
  type Panel as BuiltPanel,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  FieldColorBuilder,
  FieldColorModeId,
  QueryVariableBuilder,
  RowBuilder,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard'
import * as heatmap from '@grafana/grafana-foundation-sdk/heatmap'
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus'
import * as stat from '@grafana/grafana-foundation-sdk/stat'
import * as table from '@grafana/grafana-foundation-sdk/table'
import * as timeseries from '@grafana/grafana-foundation-sdk/timeseries'

export interface Query {
  readonly expr: string
  readonly legend?: string
}

export interface Panel {
  readonly kind: 'stat' | 'series' | 'stacked' | 'bars' | 'heatmap' | 'table'
  readonly title: string
  readonly description: string
  /** as Grafana names units */
  readonly unit: string
  /** of 24 */
  readonly width: number
  readonly height: number
  readonly queries: readonly Query[]
  /** from which value on which colour; below the first it is green, or as is said with `base` */
  readonly thresholds?: readonly (readonly [number, string])[]
  readonly base?: string
  readonly max?: number
  readonly decimals?: number
  /** words instead of numbers */
  readonly words?: Readonly<Record<string, string>>
}

export interface Row {
  readonly title: string
  readonly panels: readonly Panel[]
}

/** The operator's series, and those of the chosen namespaces. */
export const ours = 'job="$job"'
export const here = 'job="$job",namespace=~"$namespace"'

// biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana puts the chosen data source in its place
const source = { type: 'prometheus', uid: '${datasource}' }

function query({ kind }: Panel, { expr, legend }: Query, index: number): DataqueryBuilder {
  const asked = new DataqueryBuilder()
    .datasource(source)
    .refId(String.fromCharCode(65 + index))
    .expr(expr)
    .legendFormat(legend ?? '__auto')
  if (kind === 'heatmap') return asked.range().format(PromQueryFormat.Heatmap)
  if (kind === 'table') return asked.instant().format(PromQueryFormat.Table)
  return kind === 'bars' ? asked.instant() : asked.range()
}

const thresholdsOf = ({ thresholds = [], base = 'green' }: Panel): ThresholdsConfigBuilder =>
  new ThresholdsConfigBuilder()
    .mode(ThresholdsMode.Absolute)
    .steps([{ value: null, color: base }, ...thresholds.map(([value, color]) => ({ value, color }))])

const latest = (): ReduceDataOptionsBuilder => new ReduceDataOptionsBuilder().calcs(['lastNotNull'])

const legend = (): VizLegendOptionsBuilder =>
  new VizLegendOptionsBuilder().displayMode(LegendDisplayMode.List).placement(LegendPlacement.Bottom).showLegend(true)

type AnyPanel = stat.PanelBuilder | timeseries.PanelBuilder | bargauge.PanelBuilder | heatmap.PanelBuilder | table.PanelBuilder

function drawn(panel: Panel): AnyPanel {
  const byThreshold = new FieldColorBuilder().mode(FieldColorModeId.Thresholds)
  switch (panel.kind) {
    case 'stat':
      return new stat.PanelBuilder()
        .colorMode(BigValueColorMode.Value)
        .reduceOptions(latest())
        .graphMode(panel.words === undefined ? BigValueGraphMode.Area : BigValueGraphMode.None)
        .thresholds(thresholdsOf(panel))
        .colorScheme(byThreshold)
    case 'series':
    case 'stacked': {
      const lines = new timeseries.PanelBuilder()
        .lineWidth(1)
        .fillOpacity(panel.kind === 'stacked' ? 30 : 8)
        .gradientMode(GraphGradientMode.None)
        .legend(legend())
        .thresholds(thresholdsOf(panel))
        .min(0)
      return panel.kind === 'stacked' ? lines.stacking(new StackingConfigBuilder().mode(StackingMode.Normal)) : lines
    }
    case 'bars':
      return new bargauge.PanelBuilder()
        .orientation(VizOrientation.Horizontal)
        .displayMode(BarGaugeDisplayMode.Basic)
        .reduceOptions(latest())
        .thresholds(thresholdsOf(panel))
        .colorScheme(byThreshold)
        .min(0)
    case 'heatmap':
      return new heatmap.PanelBuilder()
        .calculate(false)
        .cellGap(1)
        .yAxis(new heatmap.YAxisConfigBuilder().unit(panel.unit))
        .color(
          new heatmap.HeatmapColorOptionsBuilder()
            .mode(heatmap.HeatmapColorMode.Scheme)
            .scheme('Oranges')
            .steps(64)
            .exponent(0.5)
            .fill('dark-orange')
            .reverse(false),
        )
    case 'table':
      return new table.PanelBuilder().thresholds(thresholdsOf(panel)).filterable(true)
  }
}

function built(panel: Panel, id: number): Builder<BuiltPanel> {
  const made = drawn(panel)
    .id(id)
    .title(panel.title)
    .description(panel.description)
    .datasource(source)
    .unit(panel.unit)
    .span(panel.width)
    .height(panel.height)
    .targets(panel.queries.map((one, index) => query(panel, one, index)))
  if (panel.max !== undefined) made.max(panel.max)
  if (panel.decimals !== undefined) made.decimals(panel.decimals)
  if (panel.words !== undefined) {
    const options = Object.fromEntries(Object.entries(panel.words).map(([value, text], index) => [value, { text, index }]))
    made.mappings([{ type: 'value', options } as never])
  }
  if (panel.kind === 'table') {
    made.withTransformation({ id: 'organize', options: { excludeByName: { Time: true }, renameByName: { Value: panel.title } } })
  }
  return made
}

function variables(withNamespace: boolean) {
  const asked = (name: string, label: string, text: string) =>
    new QueryVariableBuilder(name)
      .label(label)
      .datasource(source)
      .query({ query: text, refId: name })
      .definition(text)
      .refresh(VariableRefresh.OnTimeRangeChanged)
      .sort(VariableSort.AlphabeticalAsc)
  const job = asked('job', 'Job', 'label_values(taskbound_build_info, job)')
  const namespace = asked('namespace', 'Namespace', 'label_values(taskbound_tasks{job="$job"}, namespace)')
    .multi(true)
    .includeAll(true)
    .allValue('.*')
  const datasource = new DatasourceVariableBuilder('datasource').label('Data source').type('prometheus')
  return withNamespace ? [datasource, job, namespace] : [datasource, job]
}

/** A dashboard as Grafana imports it. @param uid stays the same for ever: links lead to it */
export function dashboard(uid: string, title: string, description: string, refresh: string, rows: readonly Row[]): object {
  const link = new DashboardLinkBuilder('Taskbound').type(DashboardLinkType.Dashboards).tags(['taskbound']).includeVars(true).keepTime(true)
  const made = new DashboardBuilder(`Taskbound / ${title}`)
    .uid(uid)
    .description(description)
    .tags(['taskbound'])
    .readonly()
    .refresh(refresh)
    .time({ from: 'now-6h', to: 'now' })
    .tooltip(DashboardCursorSync.Crosshair)
    .link(link)
    .variables(variables(rows.some(({ panels }) => panels.some(({ queries }) => queries.some(({ expr }) => expr.includes('$namespace'))))))
  let id = 0
  for (const { title: name, panels } of rows) {
    id += 1
    made.withRow(new RowBuilder(name).id(id))
    for (const panel of panels) {
      id += 1
      made.withPanel(built(panel, id))
    }
  }
  return made.build()
}
