import { init, track } from '@plausible-analytics/tracker'

init({ domain: TOKEN, endpoint: `${TARGET}/api/event`, captureOnLocalhost: true })
for (let n = 0; n < EVENTS; n++) track('sdk_test', { props: { n, plan: PLAN } })
