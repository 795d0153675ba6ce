import { newTracker, trackSelfDescribingEvent } from '@snowplow/browser-tracker'

newTracker('test', TARGET, { appId: TOKEN })
for (let n = 0; n < EVENTS; n++) {
  trackSelfDescribingEvent({ event: { schema: 'iglu:com.acme/sdk_test/jsonschema/1-0-0', data: { n, plan: PLAN } } })
}
