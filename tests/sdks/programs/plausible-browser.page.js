import Plausible from 'plausible-tracker'

const plausible = Plausible({ domain: TOKEN, apiHost: TARGET, trackLocalhost: true })
for (let n = 0; n < EVENTS; n++) plausible.trackEvent('sdk_test', { props: { n, plan: PLAN } })
