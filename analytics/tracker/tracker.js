// The browser tracker: what happens on a page → events with ids of their own, kept until the collector has them.
// No cookie, and nothing stored in the browser unless data-storage asks for it. `make tracker` makes tracker.min.js of this.
// @ts-check

/** @typedef {{ [name: string]: unknown }} Props */
/** @typedef {{ id: string, session_id: string, user_id?: string, event_type: string, event_action: string, metadata: Props, timestamp: number }} Fact */
/** @typedef {{ visitor: string, session: string, seen: number }} Identity */
/** @typedef {((name: string, props?: Props) => void) & { page?: (props?: Props) => void, q?: [string, Props?][] }} Analytics */

;((window, document, location) => {
  const script = /** @type {HTMLScriptElement | null} */ (document.currentScript)
  const page = /** @type {Window & { analytics?: Analytics }} */ (window)
  if (!script || page.analytics?.page) return

  const { key, endpoint, storage, userId, downloads, off = '', hash, signals } = script.dataset
  const asks = /** @type {Navigator & { globalPrivacyControl?: boolean }} */ (navigator)
  if (signals !== 'ignore' && (asks.globalPrivacyControl || asks.doNotTrack === '1')) {
    page.analytics = Object.assign(() => {}, { page: () => {} })
    return
  }

  const url = new URL(endpoint || 'collect', script.src).href
  const files = new RegExp(`\\.(${(downloads || 'pdf,zip,gz,dmg,exe,msi,deb,rpm,apk,csv,xlsx?,docx?,pptx?,txt,mp[34],mov,avi,wav,epub').replace(/,/g, '|')})$`, 'i')
  const on = (/** @type {string} */ feature) => !off.split(' ').includes(feature)
  const fragment = () => (hash === undefined ? '' : location.hash)
  const shown = () => location.href.split('#')[0] + fragment()
  const where = () => ({ $url: shown(), $path: location.pathname + fragment() })

  // randomUUID is missing on pages without TLS; any text is an id
  const newId = () => crypto.randomUUID?.() || crypto.getRandomValues(new Uint32Array(4)).join('-')

  // ---- who: an id in memory, which ends with the page, or one that data-storage may keep

  /** @type {Storage | undefined} */
  let store
  try {
    store = storage === 'local' ? window.localStorage : storage === 'session' ? window.sessionStorage : undefined
  } catch {} // the browser forbids it

  const load = (/** @type {string} */ name) => {
    try {
      return JSON.parse(store?.getItem(`analytics.${name}`) || 'null')
    } catch {}
  }
  const save = (/** @type {string} */ name, /** @type {unknown} */ value) => {
    try {
      store?.setItem(`analytics.${name}`, JSON.stringify(value))
    } catch {} // full
  }

  /** @type {Identity} */
  let identity = load('id') || { visitor: newId(), session: newId(), seen: Date.now() }

  /** Who acts now: a session ends after 30 minutes of silence. @returns {Identity} */
  const who = () => {
    const now = Date.now()
    identity = { visitor: identity.visitor, session: now - identity.seen > 1800000 ? newId() : identity.session, seen: now }
    save('id', identity)
    return identity
  }

  // ---- the queue: an event leaves it when the collector has answered for it; ids and times never change, so repeats count once

  /** @type {Fact[]} */
  let queue = load('queue') || []
  save('queue', [])
  let sending = 0 // events at the head of the queue that are on their way
  let failures = 0
  let timer = 0

  /** JSON with U+FFFD for what the collector takes in no text: NUL and half of a surrogate pair. A backslash of the text itself is passed over. */
  const encoded = (/** @type {unknown} */ value) => JSON.stringify(value).replace(/\\(?:u(?:0000|d[89a-f]..)|.)/g, (escape) => (escape[5] ? '\ufffd' : escape))

  /** As many events from a place on as one request should carry. @returns {[number, string]} */
  const batch = (/** @type {number} */ from) => {
    let size = 0
    const end = queue.findIndex((event, index) => index > from && (size += JSON.stringify(event).length) > 12000)
    const events = queue.slice(from, end < 0 ? queue.length : end)
    return [from + events.length, encoded({ events, sent_at: Date.now(), write_key: key })]
  }

  const flush = () => {
    clearTimeout(timer)
    timer = 0
    if (sending || !queue.length) return
    const [end, body] = batch(0)
    sending = end
    // what is kept alive outlives the page, but is bounded: 64 KiB in all
    fetch(url, { method: 'POST', body, keepalive: body.length < 20000, credentials: 'omit' })
      .then((answer) => {
        const note = answer.headers.get('x-analytics')
        if (note) console.warn(`analytics: ${note}`)
        const { status } = answer
        if (status === 408 || status === 429 || status > 499) throw Number(answer.headers.get('retry-after'))
        queue.splice(0, sending)
        sending = failures = 0
        flush()
      })
      .catch((wait) => {
        sending = 0
        const backoff = Math.min(1000 * 2 ** failures++, 60000)
        timer = setTimeout(flush, Math.max(wait > 0 ? wait * 1000 : 0, backoff * (0.5 + Math.random())))
      })
  }

  /** The page may not come back: what is not on its way goes now, unseen. The next page sends again what has no answer yet, and all of it while the collector is known to fail. */
  const leave = () => {
    let end = sending
    while (end < queue.length) {
      const [next, body] = batch(end)
      if (!navigator.sendBeacon(url, body)) break
      end = next
    }
    if (!failures) queue.splice(sending, end - sending)
    if (!queue.length) return
    const others = (load('queue') || []).filter((/** @type {Fact} */ { id }) => queue.every((event) => event.id !== id))
    save('queue', [...others, ...queue].slice(-1000)) // other pages have the same store
  }

  // ---- events

  /** @param {string} type @param {string} action @param {Props} [props] */
  const add = (type, action, props) => {
    const { visitor, session } = who()
    const person = store && storage === 'local' ? visitor : undefined
    queue.push({
      id: newId(),
      session_id: session,
      user_id: userId || person,
      event_type: type,
      event_action: action,
      metadata: { ...where(), ...(userId && person && { $anonymous_id: person }), ...props },
      timestamp: Date.now(),
    })
    if (queue.length > 1000) queue.splice(sending, 1) // bounded: the oldest goes
    timer ||= setTimeout(flush)
  }

  let referrer = document.referrer
  let last = ''
  const view = (/** @type {Props} */ props = {}) => {
    last = shown()
    const { width, height } = screen
    const { timeZone } = Intl.DateTimeFormat().resolvedOptions()
    add('page', 'view', { $title: document.title, $referrer: referrer, $screen: `${width}x${height}`, $timezone: timeZone, $language: navigator.language, ...props })
    referrer = last
  }
  // a moment later: by then the page has its title, and a redirect has happened
  const moved = () => {
    setTimeout(() => shown() !== last && view())
  }

  /** @type {Analytics} */
  const analytics = Object.assign((/** @type {string} */ name, /** @type {Props | undefined} */ props) => add('track', name, props), { page: view })
  const early = page.analytics?.q || []
  page.analytics = analytics

  const start = () => {
    if (on('pages')) {
      view()
      for (const name of /** @type {const} */ (['pushState', 'replaceState'])) {
        const original = history[name]
        history[name] = function (...args) {
          original.apply(this, args)
          moved()
        }
      }
      addEventListener('popstate', moved)
      if (hash !== undefined) addEventListener('hashchange', moved)
      addEventListener('pageshow', ({ persisted }) => persisted && view())
    }
    for (const args of early) analytics(...args)
  }

  /** A number where an attribute's text is one as JSON writes it; text where digits would be lost. */
  const valueOf = (/** @type {string | undefined} */ text = '') => (/^-?(0|[1-9]\d*)(\.\d+)?(e[+-]?\d\d?)?$/i.test(text) && text.replace(/e.*|\D/gi, '').length < 16 ? +text : text)

  const act = (/** @type {globalThis.Event} */ { type, target }) => {
    const from = /** @type {Element} */ (target)
    const marked = /** @type {HTMLElement | null} */ (from.closest?.('[data-analytics]'))
    if (marked && (type === 'submit') === (marked.tagName === 'FORM')) {
      const props = /** @type {Props} */ ({})
      for (const [name, value] of Object.entries(marked.dataset)) {
        const rest = name.slice(9)
        if (rest && name.startsWith('analytics')) props[rest[0].toLowerCase() + rest.slice(1)] = valueOf(value)
      }
      analytics(/** @type {string} */ (marked.dataset.analytics), props)
    }
    const link = /** @type {HTMLAnchorElement | null} */ (type !== 'submit' && from.closest?.('a[href]'))
    if (link && /^http/.test(link.protocol)) {
      if (on('downloads') && files.test(link.pathname)) analytics('$download', { $href: link.href })
      else if (on('outbound') && link.host !== location.host) analytics('$outbound', { $href: link.href })
    }
  }
  addEventListener('click', act, true)
  addEventListener('auxclick', (event) => event.button === 1 && act(event), true)
  addEventListener('submit', act, true)

  // ---- web vitals: one event a page load, when it is first hidden; as web.dev defines them, in milliseconds

  /** @type {{ [metric: string]: number }} */
  const vitals = {}
  if (on('vitals')) {
    const loaded = where()
    /** @type {Map<number, number>} */
    const interactions = new Map()
    let windowStart = 0
    let windowEnd = 0
    let shift = 0
    let hidden = document.visibilityState === 'hidden'

    const observe = (/** @type {string} */ type, /** @type {(entry: any) => void} */ take, /** @type {object} */ more = {}) => {
      try {
        const observer = new PerformanceObserver((list) => list.getEntries().forEach(take))
        observer.observe({ type, buffered: true, ...more })
        return observer
      } catch {} // the browser does not know this type
    }
    const interact = (/** @type {{ interactionId: number, duration: number }} */ { interactionId, duration }) => {
      if (interactionId) interactions.set(interactionId, Math.max(interactions.get(interactionId) || 0, duration))
    }
    const observers = [
      observe('paint', ({ name, startTime }) => {
        if (name === 'first-contentful-paint') vitals.$fcp = startTime
      }),
      observe('largest-contentful-paint', ({ startTime }) => {
        vitals.$lcp = startTime
      }),
      // shifts less than a second apart, five seconds at most, are one; the worst counts
      observe('layout-shift', ({ startTime, value, hadRecentInput }) => {
        vitals.$cls ||= 0
        if (hadRecentInput) return
        if (startTime - windowEnd > 1000 || startTime - windowStart > 5000) {
          windowStart = startTime
          shift = 0
        }
        windowEnd = startTime
        shift += value
        vitals.$cls = Math.max(vitals.$cls, shift)
      }),
      observe('first-input', interact),
      observe('event', interact, { durationThreshold: 16 }),
      observe('navigation', ({ responseStart }) => {
        vitals.$ttfb = responseStart
      }),
    ]
    addEventListener(
      'visibilitychange',
      () => {
        if (hidden || document.visibilityState !== 'hidden') return
        hidden = true
        const slowest = [...interactions.values()].sort((a, b) => b - a)
        const count = /** @type {{ interactionCount?: number }} */ (performance).interactionCount || slowest.length
        if (slowest.length) vitals.$inp = slowest[Math.min(slowest.length - 1, Math.floor(count / 50))]
        observers.forEach((observer) => observer?.disconnect())
        analytics('$web_vitals', { ...vitals, ...loaded })
      },
      true,
    )
  }

  addEventListener('visibilitychange', () => document.visibilityState === 'hidden' && leave())
  addEventListener('pagehide', leave)
  addEventListener('online', flush)

  if (/** @type {{ prerendering?: boolean }} */ (document).prerendering) document.addEventListener('prerenderingchange', start, { once: true })
  else start()
})(window, document, location)
