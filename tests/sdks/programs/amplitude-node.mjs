import { flush, init, track } from '@amplitude/analytics-node'
import { NUMBERS, PLAN, TARGET, TOKEN, ended } from './common.mjs'

await init(TOKEN, { serverUrl: `${TARGET}/2/httpapi` }).promise
for (const n of NUMBERS) track('sdk_test', { n, plan: PLAN }, { user_id: 'user-1' })
// a flush by hand would not try again; by itself it flushes after ten seconds
await ended
await flush().promise
process.exit()
