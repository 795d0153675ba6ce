import RudderAnalytics from '@rudderstack/rudder-sdk-node'
import { NUMBERS, PLAN, TARGET, TOKEN, ended } from './common.mjs'

const rudder = new RudderAnalytics(TOKEN, { dataPlaneUrl: TARGET })
for (const n of NUMBERS) rudder.track({ userId: 'user-1', event: 'sdk_test', properties: { n, plan: PLAN } })
await ended
await rudder.flush()
process.exit()
