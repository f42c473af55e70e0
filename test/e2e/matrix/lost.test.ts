// The crash matrix without a crash: the operator loses a reply, or stands still while another leads, at the same awaits.

import { testRounds } from './turns.ts'

testRounds({ lost: 1, paused: 6 })
