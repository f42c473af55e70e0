// The keys for sealing as they are written: what is read, what is refused, and that no refusal quotes a key.

import { describe, expect, test } from '@jest/globals'
import { Material } from '../../../src/lib/material.ts'
import { parseSealKeys, sealKeys } from '../../../src/runtime/ledger/seal-keys.ts'

const line = (byte: number): string => Buffer.alloc(32, byte).toString('base64')
const parse = (text: string) => parseSealKeys(new Material(text))

test.each([
  ['one key', line(1), [1]],
  ['one key and the end of its line', `${line(1)}\n`, [1]],
  ['several, the newest first, with room between them', `${line(2)}\r\n\n  ${line(1)}\n`, [2, 1]],
])('reads %s', (_, text, first) => {
  const read = parse(text)
  expect(read.ok && read.value.map((key) => key.reveal()[0])).toEqual(first)
})

describe('refuses, without a word of what was read,', () => {
  const short = Buffer.alloc(31, 7).toString('base64')
  test.each([
    ['nothing', '\n'],
    ['a key that is too short', short],
    ['a key that is too long', Buffer.alloc(33, 7).toString('base64')],
    ['a key in hex', Buffer.alloc(32, 7).toString('hex')],
    ['a password', 'correct horse battery staple'],
    ['a good key beside a bad one', `${line(1)}\n${short}`],
    ['more keys than are ever wanted', Array.from({ length: 17 }, (_, i) => line(i)).join('\n')],
    ['a key twice', `${line(1)}\n${line(1)}`],
  ])('%s', (_, text) => {
    const read = parse(text)
    expect(read).toMatchObject({ ok: false, failure: expect.stringContaining('openssl rand -base64 32') })
    for (const part of text.split('\n').filter((one) => one !== '')) expect(JSON.stringify(read)).not.toContain(part)
  })
})

test('what the operator makes is what it reads', async () => {
  const codec = sealKeys({ bytes: (n) => new Uint8Array(n).fill(9), uuid: () => '', unit: () => 0 })
  const read = await codec.parse(codec.format(await codec.generate()))
  expect(read.ok && read.value.map((key) => [...key.reveal()])).toEqual([Array.from({ length: 32 }, () => 9)])
})
