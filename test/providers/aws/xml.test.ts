// The XML that is read, and all that is refused.

import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { at, parseXml } from '../../../src/providers/aws/xml.ts'

test('reads elements, text and escapes, and nothing of attributes', () => {
  const root = parseXml('<?xml version="1.0"?>\n<A xmlns="x:y"><B c=\'1\'> a&lt;&amp;&#x41;&#66; </B><C/>\n<D></D></A>\n')
  expect(root?.name).toBe('A')
  expect(at(root, 'B')?.text).toBe(' a<&AB ')
  expect([at(root, 'C')?.text, at(root, 'D')?.text, at(root, 'E'), at(root, 'B', 'C')]).toEqual(['', '', undefined, undefined])
})

test('what is there twice is not there', () => {
  expect(at(parseXml('<A><B>1</B><B>2</B></A>'), 'B')).toBeUndefined()
})

test.each([
  '',
  'text',
  '{}',
  '<A>',
  '<A></B>',
  '<A></A><B></B>',
  '<A></A>x',
  '<A>x<B></B></A>',
  '<A>&nbsp;</A>',
  '<A>&#0;</A>',
  '<A>& </A>',
  '<A>&lt</A>',
  '<!DOCTYPE A [<!ENTITY x "y">]><A>&x;</A>',
  '<!DOCTYPE A SYSTEM "file:///etc/passwd"><A></A>',
  '<A><![CDATA[x]]></A>',
  '<A><!-- x --></A>',
  '<A><?php x ?></A>',
  '<a:B></a:B>',
  '<html><head><title>x</title></head><body>a<br></body></html>',
  '<A>'.repeat(9) + '</A>'.repeat(9),
  `<A>${'<B></B>'.repeat(300)}</A>`,
])('refuses %s', (text) => {
  expect(parseXml(text)).toBeUndefined()
})

test('never throws, and is done with a megabyte in no time', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('<', '>', '/', 'A', '"', '=', ' ', '&', ';', '#', '!') }), (text) => void parseXml(text)),
  )
  const started = performance.now()
  for (const unit of ['<', '&', '<A ', '<A b="', '<A>', ' ', '<A b=""', '</', '&#x', '<A><B>'])
    parseXml(`<A>${unit.repeat((1 << 20) / unit.length)}`)
  expect(performance.now() - started).toBeLessThan(10_000)
})
