import MatomoTracker from 'matomo-tracker'
import { NUMBERS, PLAN, TARGET, TOKEN, ended } from './common.mjs'

const tracker = new MatomoTracker(TOKEN, `${TARGET}/matomo.php`)
tracker.on('error', (error) => console.error(error))
for (const n of NUMBERS) tracker.track({ url: 'http://x.com/a', uid: 'user-1', e_c: 'sdk', e_a: 'sdk_test', e_n: PLAN, e_v: n })
await ended
process.exit()
