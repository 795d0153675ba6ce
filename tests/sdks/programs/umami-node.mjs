import module from '@umami/node'
import { NUMBERS, PLAN, TARGET, TOKEN, ended } from './common.mjs'

const umami = module.default ?? module // CommonJS, as far as Node can tell
umami.init({ websiteId: TOKEN, hostUrl: TARGET })
for (const n of NUMBERS) umami.track('sdk_test', { n, plan: PLAN }).catch((error) => console.error(error))
await ended
process.exit()
