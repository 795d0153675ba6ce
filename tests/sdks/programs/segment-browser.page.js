import { AnalyticsBrowser } from '@segment/analytics-next'

const host = new URL(TARGET).host
const analytics = AnalyticsBrowser.load({ writeKey: TOKEN, cdnURL: TARGET }, { integrations: { 'Segment.io': { apiHost: `${host}/v1`, protocol: 'http' } } })
for (let n = 0; n < EVENTS; n++) analytics.track('sdk_test', { n, plan: PLAN })
