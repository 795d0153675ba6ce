import Mixpanel from 'mixpanel'
import { NUMBERS, PLAN, TARGET, TOKEN, ended } from './common.mjs'

const mixpanel = Mixpanel.init(TOKEN, { host: new URL(TARGET).host, protocol: 'http' })
for (const n of NUMBERS) mixpanel.track('sdk_test', { distinct_id: 'user-1', n, plan: PLAN }, (error) => error && console.error(error))
await ended
process.exit()
