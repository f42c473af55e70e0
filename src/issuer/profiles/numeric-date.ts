// RFC 7519 NumericDate: whole seconds since the epoch, rounded down.

import { at, type Instant } from '../../lib/instant.ts'

export const numericDate = (time: Instant): number => Math.floor(time / 1000)
export const fromNumericDate = (value: number): Instant => at(value * 1000)
