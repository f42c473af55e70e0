import { describe, expect, test } from '@jest/globals'
import { createGuard, createNamespaceGuard, isNetwork } from '../../src/outbound/addresses.ts'

const guard = createGuard(['10.96.0.0/12', 'fd00:96::/108', '10.0.0.1'], [])

describe('an address', () => {
  test.each([
    '127.0.0.1',
    '127.9.9.9',
    '0.0.0.0',
    '::1',
    '::',
    '169.254.169.254',
    'fe80::1',
    'fe80::1%eth0',
    'fd00:ec2::254',
    '100.100.100.200',
    '224.0.0.1',
    '255.255.255.255',
    '240.0.0.1',
    'ff02::1',
    // the same behind other spellings
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::ffff:169.254.169.254',
    '64:ff9b::7f00:1',
    '64:ff9b::169.254.169.254',
    '64:ff9b::a9fe:a9fe',
    '64:ff9b:1::7f00:1',
    '2002:7f00:1::',
    '2001:0:1::1',
    // of the cluster
    '10.96.0.1',
    '10.111.255.255',
    '::ffff:10.96.0.1',
    '64:ff9b::a60:1',
    'fd00:96::1',
    '10.0.0.1',
    '',
    'localhost',
    '127.1',
    '0x7f.1',
    '2130706433',
  ])('%s is refused', (address) => {
    expect(guard(address)).toEqual(expect.any(String))
  })

  test.each([
    '10.1.2.3',
    '172.16.0.1',
    '192.168.1.1',
    '93.184.216.34',
    '10.0.0.2',
    '2606:4700::1111',
    'fd12:3456::1',
    '64:ff9b::5db8:d822',
  ])('%s is let through', (address) => {
    expect(guard(address)).toBeUndefined()
  })

  test('that a provider lists is let through, and its neighbour is not', () => {
    const own = createGuard(['10.96.0.0/12'], ['127.0.0.1', '10.96.7.0/24', '::1/128'])
    for (const address of ['127.0.0.1', '::ffff:127.0.0.1', '64:ff9b::7f00:1', '10.96.7.9', '::1']) expect(own(address)).toBeUndefined()
    for (const address of ['127.0.0.2', '10.96.8.1', '169.254.169.254', '::']) expect(own(address)).toEqual(expect.any(String))
  })
})

describe('for providers of namespaces', () => {
  const local = createNamespaceGuard(['203.0.114.0/24'], ['10.20.0.0/16', '127.0.0.1'])

  test.each([
    '10.1.2.3',
    '::ffff:10.1.2.3',
    '64:ff9b::a01:203',
    '172.16.0.1',
    '192.168.1.1',
    '100.64.0.1',
    'fd12:3456::1',
    '169.254.169.254',
    '127.0.0.2',
    '203.0.114.9',
    'localhost',
  ])('%s is refused', (address) => {
    expect(local(address)).toEqual(expect.any(String))
  })

  test.each(['93.184.216.34', '2606:4700::1111', '10.20.9.9', '::ffff:10.20.9.9', '127.0.0.1'])('%s is let through', (address) => {
    expect(local(address)).toBeUndefined()
  })
})

test.each([
  ['10.0.0.0/8', true],
  ['10.0.0.1', true],
  ['fd00::/8', true],
  ['::1', true],
  ['10.0.0.0/33', false],
  ['::/129', false],
  ['10.0.0.0/', false],
  ['10.0.0/8', false],
  ['fe80::1%eth0', false],
  ['localhost', false],
  ['10.0.0.0/8/8', false],
  ['', false],
])('whether %s is a network: %s', (text, is) => {
  expect(isNetwork(text)).toBe(is)
})
