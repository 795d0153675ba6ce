import { PostHog } from 'posthog-node'
import { NUMBERS, TARGET, TOKEN, ended } from './common.mjs'

const posthog = new PostHog(TOKEN, { host: TARGET })
for (const n of NUMBERS) posthog.capture({ distinctId: 'user-1', event: 'sdk_test', properties: { n, plan: 'pro' } })
posthog.flush().catch((error) => console.error(`${error}`))
await ended
await posthog.shutdown()
process.exit()
