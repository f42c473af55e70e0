// The crash matrix of types whose ends take seconds, or which wait until an answer can no longer be on its way: rounds of their own.

import { slow } from './subjects.ts'
import { testRounds } from './turns.ts'

testRounds({ 'killed after': 3, 'killed before': 4, lost: 4, paused: 6 }, slow)
