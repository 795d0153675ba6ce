import mixpanel from 'mixpanel-browser'

mixpanel.init(TOKEN, { api_host: TARGET })
for (let n = 0; n < EVENTS; n++) mixpanel.track('sdk_test', { n, plan: PLAN })
