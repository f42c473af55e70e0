// The crash matrix: the operator is killed at every await of issue, renew and end, of every type of provider at once. After each round the
// servers are asked: nothing of ours is alive without a live task, and no task has two.

import { testRounds } from './turns.ts'

testRounds({ 'killed after': 1, 'killed before': 4 })
