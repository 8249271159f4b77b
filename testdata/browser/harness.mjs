// What the tests in the browser share: one browser, pages that tell of whatever must never happen, and a few questions.
//
//	test('the first screen', () => visit({}, async (page) => {
//		await page.goto(plan.main.url)
//		…
//	}))
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { createRequire } from 'node:module'
import { after } from 'node:test'
import { chromium } from 'playwright-core'

export const plan = JSON.parse(fs.readFileSync(process.env.UNDERSIGNED_PLAN, 'utf8'))

export const phone = { width: 390, height: 844 }
export const narrow = { width: 320, height: 640 }
export const desktop = { width: 1280, height: 900 }

export const file = (name) => path.join(plan.files, name)

const axeSource = fs.readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

let server
let browser
const contexts = new Map()

// launch starts the browser at first use. It can reach this machine alone.
async function launch() {
	browser ??= (async () => {
		server = await chromium.launchServer({
			executablePath: plan.chromium,
			args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-quic', '--no-first-run',
				'--disable-extensions', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'],
		})
		return chromium.connect(server.wsEndpoint())
	})()
	return browser
}

// Nothing is kept, so that it need not end gently.
after(() => server?.kill())

// The context of pages with these options: js (true), offline (false), bypassCSP (false).
async function contextOf({ js = true, offline = false, bypassCSP = false, fresh = false }) {
	const key = JSON.stringify({ js, offline, bypassCSP })
	if (!fresh && contexts.has(key)) return contexts.get(key)
	const context = await (await launch()).newContext({ javaScriptEnabled: js, offline, bypassCSP, acceptDownloads: true, locale: 'en-GB', timezoneId: 'UTC' })
	context.setDefaultTimeout(100_000) // other tests may be running
	const listeners = new Set()
	const told = (what) => { for (const f of listeners) f(what) }
	await context.exposeBinding('tellViolation', (_, what) => told(`the policy of the page was broken: ${what}`))
	await context.addInitScript(() => {
		document.addEventListener('securitypolicyviolation', (e) => globalThis.tellViolation(`${e.violatedDirective} ${e.blockedURI} ${e.sourceFile}:${e.lineNumber}`))
	})
	const made = { context, listeners }
	if (!fresh) contexts.set(key, made)
	return made
}

// visit gives a test a page of its own, and holds the page to what is never to happen: an error on the console, a dialog, a report of the
// Content-Security-Policy, a request to another origin, a cookie, an element that a payload made. expected are patterns of what may be
// on the console.
export async function visit({ viewport = desktop, scheme = 'light', forced = 'none', motion = 'no-preference', expected = [], ...options }, body) {
	const { context, listeners } = await contextOf(options)
	const page = await context.newPage()
	const problems = []
	const requests = []
	const tell = (what) => problems.push(what)
	listeners.add(tell)
	page.on('dialog', (d) => { tell(`a dialog: ${d.message()}`); d.dismiss().catch(() => {}) })
	page.on('pageerror', (e) => tell(`an error of the page: ${e.stack ?? e}`))
	page.on('popup', () => tell('another window'))
	page.on('console', (m) => {
		if (['error', 'warning'].includes(m.type()) && !expected.some((p) => p.test(m.text()))) tell(`on the console: ${m.text()} (${m.location().url})`)
	})
	page.on('request', (r) => {
		requests.push(r.url())
		const own = [plan.main, plan.crowd, plan.hostile].map((f) => f.url).concat(Object.values(plan.liars))
		if (!own.some((u) => r.url().startsWith(u)) && !/^(data|blob|file):/.test(r.url())) tell(`a request to ${r.url()}`)
	})
	try {
		await page.setViewportSize(viewport)
		await page.emulateMedia({ colorScheme: scheme, forcedColors: forced, reducedMotion: motion })
		await body(page, requests)
		const cookies = await context.cookies()
		if (cookies.length > 0) tell(`cookies: ${JSON.stringify(cookies)}`)
		if (options.js !== false && !page.isClosed() && await page.locator('[id=xss]').count() > 0) tell('an element that a payload made')
	} finally {
		listeners.delete(tell)
		await page.close()
		if (options.fresh) await context.close()
	}
	assert.deepEqual(problems, [])
}

// settled waits until the page has done what it does by itself: its modules are there, and its own check has ended.
export async function settled(page) {
	if (await page.locator('script[src]').count() === 0 || !await page.evaluate(() => matchMedia('(scripting: enabled)').matches)) return
	await page.locator('html[data-modules=ready]').waitFor({ state: 'attached' })
	await page.waitForFunction(() => {
		const busy = [...document.querySelectorAll('#browser-check, #answer, #verdict, #organization')].filter((e) => e.dataset.state === 'busy')
		const check = document.querySelector('#browser-check')
		return busy.length === 0 && (!check || check.dataset.state)
	})
}

// state waits for an answer and returns its state and code.
export async function state(page, selector) {
	await page.waitForFunction((s) => {
		const e = document.querySelector(s)
		return e && e.dataset.state && e.dataset.state !== 'busy'
	}, selector)
	return page.locator(selector).first().evaluate((e) => ({ state: e.dataset.state, code: Number(e.dataset.code), text: e.innerText, difference: e.dataset.difference ?? '' }))
}

// scriptless has a page shown as a browser without JavaScript shows it, in one that has it: axe-core needs it.
export async function scriptless(page) {
	await page.route('**/*', async (route) => {
		const type = route.request().resourceType()
		if (type !== 'document' && type !== 'stylesheet') return route.continue()
		const response = await route.fetch()
		const body = (await response.text()).replace(/<script[^>]*><\/script>/g, '').replaceAll('noscript>', 'div>').replaceAll('(scripting: none)', 'all').replaceAll('(scripting: enabled)', 'not all')
		await route.fulfill({ response, body })
	})
}

// accessible holds a page to axe-core's rules whose breach is serious or critical.
export async function accessible(page, where) {
	await page.evaluate(`${axeSource}; undefined`)
	const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'], preload: false }))
	const grave = found.violations.filter((v) => ['serious', 'critical'].includes(v.impact))
	assert.deepEqual(grave.map((v) => `${v.id} (${v.impact}): ${v.help}: ${v.nodes.slice(0, 5).map((n) => `${n.html.slice(0, 200)} ${n.any.map((a) => a.message).join(' ')}`).join(' | ')}`), [], where)
	return found.violations.filter((v) => !grave.includes(v)).map((v) => `${v.id} (${v.impact})`)
}

// fits holds a page to the width of its window: nothing is cut off, and nothing scrolls sideways.
export async function fits(page, where) {
	const wide = await page.evaluate(() => {
		const width = document.documentElement.clientWidth
		if (document.documentElement.scrollWidth <= width) return []
		return [...document.body.querySelectorAll('*')].filter((e) => e.getBoundingClientRect().right > width + 1)
			.map((e) => `${e.tagName.toLowerCase()}.${e.getAttribute('class')} to ${Math.round(e.getBoundingClientRect().right)}`).slice(0, 5).concat(`scrolls to ${document.documentElement.scrollWidth}`)
	})
	assert.deepEqual(wide, [], `${where} at ${page.viewportSize().width}`)
}

// picture keeps what the page looks like, if somebody wants to look at it.
export async function picture(page, name) {
	if (!plan.screenshots) return
	const size = page.viewportSize().width < 600 ? 'phone' : 'desktop'
	await page.screenshot({ path: path.join(plan.screenshots, `${name}-${size}.png`), fullPage: true })
}

const interactive = 'a[href], button, input, textarea, select, summary, [tabindex], audio[controls], video[controls], [contenteditable]'

// tabThrough presses Tab until the focus is where it has been, and returns what it found. Each stop must be seen to have the
// focus, and every control must be a stop.
export async function tabThrough(page, where, js = true) {
	await page.evaluate((interactive) => {
		const shown = (e) => e.checkVisibility({ checkVisibilityCSS: true }) && !e.disabled && e.tabIndex >= 0 && e.type !== 'hidden'
		// Of buttons with one name only the chosen one, or the first, is a stop.
		const radios = (e) => e.type !== 'radio' || e.checked || ![...document.querySelectorAll(`input[name="${CSS.escape(e.name)}"]`)].some((o) => o.checked || o.compareDocumentPosition(e) & 4)
		globalThis.stops = new Set([...document.querySelectorAll(interactive)].filter((e) => shown(e) && radios(e)))
		globalThis.reached = new Set()
		// What has the focus in a drawing is drawn otherwise.
		globalThis.drawn = (e) => [...e.children].map((c) => { const s = getComputedStyle(c); return `${s.stroke} ${s.strokeWidth} ${s.fill}` }).join()
		globalThis.before = new Map([...globalThis.stops].filter((e) => e.ownerSVGElement).map((e) => [e, globalThis.drawn(e)]))
		document.activeElement?.blur()
		getSelection()?.removeAllRanges()
		scrollTo(0, 0)
	}, interactive)
	const total = await page.evaluate(() => globalThis.stops.size)
	const unseen = []
	let ends = 0 // it may begin anywhere, and goes on at the start of the page
	for (let i = 0; i < 6 * total + 20; i++) {
		await page.keyboard.press('Tab')
		const at = await page.evaluate(async (frames) => {
			const e = document.activeElement
			if (!e || e === document.body) return { out: true }
			// A date field has a stop for each of its parts.
			if (globalThis.reached.has(e)) return { again: e !== globalThis.last }
			globalThis.reached.add(e)
			globalThis.last = e
			const look = (e) => { const s = getComputedStyle(e); return { outline: s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0 && s.outlineColor !== 'rgba(0, 0, 0, 0)', shadow: s.boxShadow } }
			const focused = look(e)
			const label = e.closest('label')
			const shown = e.matches('.away, [type=file]') && label ? label : e
			const inView = () => {
				const rect = shown.getBoundingClientRect()
				return (e.ownerSVGElement || rect.width > 1 && rect.height > 1) && rect.bottom > 0 && rect.top < innerHeight && rect.right > 0 && rect.left < innerWidth
			}
			if (frames && !inView()) await new Promise((f) => requestAnimationFrame(() => requestAnimationFrame(f))) // until it has scrolled
			return {
				name: e.outerHTML.slice(0, 160),
				seen: (e.ownerSVGElement && globalThis.drawn(e) !== globalThis.before.get(e)) || focused.outline || focused.shadow !== 'none' || (label && look(label).outline),
				inView: !frames || inView(),
			}
		}, js)
		if (at.out && ++ends < 2) continue
		if (at.out || at.again) break
		if (!at.name) continue
		if (!at.seen) unseen.push(`no sign of the focus: ${at.name}`)
		if (!at.inView) unseen.push(`out of sight: ${at.name}`)
	}
	const missed = await page.evaluate(() => [...globalThis.stops].filter((e) => !globalThis.reached.has(e)).map((e) => e.outerHTML.slice(0, 160)))
	assert.deepEqual({ missed: missed.slice(0, 5), unseen: unseen.slice(0, 5) }, { missed: [], unseen: [] }, where)
	return total
}
