import { describe, expect, test } from '@jest/globals'
import { type ApiError, httpError, isAmbiguous, isGone, isVersionTooLarge, transportError } from '../../src/kube/errors.ts'
import { retryDelay } from '../../src/kube/retry.ts'

const answered = (status: number, retryAfter?: string): ApiError =>
  httpError(status, {}, retryAfter === undefined ? {} : { 'retry-after': retryAfter })

describe('what the client sends again by itself', () => {
  test.each<[string, ApiError, string, number, number | undefined]>([
    ['429, also of a write', answered(429, '2'), 'POST', 1, 2000],
    ['429 without a time', answered(429), 'POST', 1, 1000],
    ['429 again and again', answered(429, '2'), 'POST', 6, undefined],
    ['503 with a time, of a read', answered(503, '2'), 'GET', 1, 2000],
    ['503 with a time, of a write', answered(503, '2'), 'PUT', 1, undefined],
    ['503 without a time', answered(503), 'GET', 1, undefined],
    ['500', answered(500, '2'), 'GET', 1, undefined],
    ['409', answered(409), 'PUT', 1, undefined],
    ['a write that was surely not sent', transportError('connection', '', false), 'POST', 1, 25],
    ['a write that may have been', transportError('connection', '', true), 'DELETE', 1, undefined],
    ['a read that may have been', transportError('connection', '', true), 'GET', 1, 25],
    ['a read that broke three times', transportError('connection', '', true), 'GET', 3, undefined],
    ['a timeout', transportError('timeout', '', false), 'GET', 1, undefined],
    ['what the caller gave up', transportError('aborted', '', false), 'GET', 1, undefined],
  ])('%s', (_, error, method, attempt, expected) => expect(retryDelay(error, method, attempt, 0)).toBe(expected))

  test('is never sent earlier than asked', () => {
    expect(retryDelay(answered(429, '4'), 'POST', 1, 0.99)).toBeGreaterThanOrEqual(4000)
  })
})

describe('errors', () => {
  test('that leave open what happened are the lost answers and those of a server in trouble', () => {
    const ambiguous = [transportError('timeout', '', true), transportError('connection', '', true), answered(500), answered(504)]
    const certain = [transportError('timeout', '', false), answered(409), answered(422), answered(429)]
    expect([ambiguous.every(isAmbiguous), certain.some(isAmbiguous)]).toEqual([true, false])
  })

  test('tell an old version from one that is not there yet', () => {
    expect(isGone(httpError(410, {}))).toBe(true)
    expect(isGone(httpError(400, { reason: 'Expired' }))).toBe(true)
    expect(isVersionTooLarge(httpError(504, { details: { causes: [{ reason: 'ResourceVersionTooLarge' }] } }))).toBe(true)
  })

  test('of a body that is no Status keep a short text', () => {
    expect(httpError(502, 'x'.repeat(1000)).message).toHaveLength(200)
    expect(httpError(502, '').message).toBe('HTTP status 502')
  })
})
