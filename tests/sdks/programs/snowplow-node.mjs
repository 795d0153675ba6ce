import { buildSelfDescribingEvent, newTracker } from '@snowplow/node-tracker'
import { NUMBERS, PLAN, TARGET, TOKEN, ended } from './common.mjs'

const tracker = newTracker({ namespace: 'test', appId: TOKEN, encodeBase64: true }, { endpoint: TARGET })
tracker.setUserId('user-1')
for (const n of NUMBERS) {
  tracker.track(buildSelfDescribingEvent({ event: { schema: 'iglu:com.acme/sdk_test/jsonschema/1-0-0', data: { n, plan: PLAN } } }))
}
tracker.flush()
setInterval(() => tracker.flush(), 5000) // what failed waits for the next event, or for this
await ended
process.exit()
