import { PostHog } from 'posthog-node'
import { NUMBERS, PLAN, TARGET, TOKEN, ended } from './common.mjs'

const posthog = new PostHog(TOKEN, { host: TARGET })
for (const n of NUMBERS) posthog.capture({ distinctId: 'user-1', event: 'sdk_test', properties: { n, plan: PLAN } })
posthog.flush().catch((error) => console.error(`${error}`))
await ended
await posthog.shutdown()
process.exit()
