// A service of somebody's own.

import { createHooked } from '../../support/hooked.ts'
import type { World } from '../world.ts'
import { type Sink, visitor } from './sink.ts'

export async function webhookSink({ scenario, atEnd }: World): Promise<Sink> {
  const hooked = await createHooked(scenario)
  atEnd(hooked.close)
  return { type: 'webhook', visit: visitor(scenario, 'webhook', hooked.credential), sent: () => hooked.asked }
}
