import posthog from 'posthog-js'

posthog.init(TOKEN, { api_host: TARGET })
for (let n = 0; n < EVENTS; n++) posthog.capture('sdk_test', { n, plan: PLAN })
