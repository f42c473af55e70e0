// After all end-to-end tests: ends the clusters that setup.ts started.
import './setup.ts'

// biome-ignore lint/style/noDefaultExport: jest asks for one
export default async function teardown(): Promise<void> {
  for (const cluster of globalThis.taskboundClusters ?? []) await cluster.release()
}
