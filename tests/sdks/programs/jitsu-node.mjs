import { jitsuAnalytics } from '@jitsu/js'
import { NUMBERS, PLAN, TARGET, TOKEN, ended } from './common.mjs'

const analytics = jitsuAnalytics({ writeKey: TOKEN, host: TARGET })
await analytics.identify('user-1')
for (const n of NUMBERS) analytics.track('sdk_test', { n, plan: PLAN })
await ended
process.exit()
