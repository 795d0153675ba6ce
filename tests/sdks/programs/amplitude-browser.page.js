import { init, track } from '@amplitude/analytics-browser'

init(TOKEN, { serverUrl: `${TARGET}/2/httpapi`, autocapture: false, fetchRemoteConfig: false })
for (let n = 0; n < EVENTS; n++) track('sdk_test', { n, plan: PLAN })
