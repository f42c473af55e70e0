// The crash matrix of types whose ends take seconds, or which wait until an answer can no longer be on its way: rounds of their own.

import { slow } from './subjects.ts'
import { testRounds } from './turns.ts'

testRounds({ 'killed after': 4, 'killed before': 6, lost: 6, paused: 6 }, slow)
