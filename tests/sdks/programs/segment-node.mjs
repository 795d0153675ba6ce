import { Analytics } from '@segment/analytics-node'
import { NUMBERS, PLAN, TARGET, TOKEN, ended } from './common.mjs'

const analytics = new Analytics({ writeKey: TOKEN, host: TARGET })
analytics.on('error', (error) => console.error(error))
for (const n of NUMBERS) analytics.track({ userId: 'user-1', event: 'sdk_test', properties: { n, plan: PLAN } })
await ended
await analytics.closeAndFlush()
process.exit()
