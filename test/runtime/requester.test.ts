import { expect, test } from '@jest/globals'
import { at, plus, seconds } from '../../src/lib/instant.ts'
import { createAsker } from '../../src/runtime/requester.ts'
import { makeTask } from '../support/make.ts'

const created = makeTask().createdAt
const by = (username: string) => ({ username, uid: 'u', groups: ['g'], podUid: '' })
const ask = (since: typeof created | undefined, requestedBy: ReturnType<typeof by> | undefined) => {
  const task = makeTask()
  const asker = createAsker({ vouchedSince: () => since, isAgent: (namespace, name) => namespace === 'team' && name === 'clerk' })
  return asker({ ...task, spec: { ...task.spec, requestedBy } })
}
const before = plus(created, seconds(-1))

test.each([
  ['alice@example.com', 'User'],
  ['system:serviceaccount:team:clerk', 'Agent'],
  ['system:serviceaccount:team:deployer', 'ServiceAccount'],
  ['system:serviceaccount:other:clerk', 'ServiceAccount'],
])('%s is a %s', (username, kind) => {
  expect(ask(before, by(username))).toEqual({ requester: { kind, username, groups: ['g'] }, why: undefined })
})

test.each([
  ['the check is not in force', undefined, by('alice')],
  ['the task is as old as the check', created, by('alice')],
  ['the task is older than the check', plus(created, seconds(1)), by('alice')],
  ['nobody is stated', before, undefined],
  ['an empty name is stated', before, by('')],
])('nobody is believed when %s', (_name, since, requestedBy) => {
  const answer = ask(since === undefined ? undefined : at(since), requestedBy)
  expect(answer.requester).toEqual({ kind: 'Unknown', username: '', groups: [] })
  expect(answer.why).toMatch(/who asked is not known/)
})
