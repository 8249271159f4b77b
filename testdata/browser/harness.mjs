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
	const made = { context, listeners, idle: [] }
	if (!fresh) contexts.set(key, made)
	return made
}

// visit gives a test a page of its own, and holds the page to what is never to happen: an error on the console, a dialog, a report of the
// Content-Security-Policy, a request to another origin, a cookie, an element that a payload made. expected are patterns of what may be
// on the console.
export async function visit({ viewport = desktop, scheme = 'light', forced = 'none', motion = 'no-preference', expected = [], ...options }, body) {
	const { context, listeners, idle } = await contextOf(options)
	const page = idle.pop() ?? await context.newPage() // which takes as long as a page takes to load
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
		const own = [plan.main, plan.crowd, plan.hostile, plan.many, plan.large].filter(Boolean).map((f) => f.url).concat(Object.values(plan.liars))
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
		page.removeAllListeners()
		if (options.fresh) {
			await context.close()
		} else if (!page.isClosed()) {
			await page.unrouteAll({ behavior: 'ignoreErrors' })
			await page.emulateMedia({ media: null })
			await page.goto('about:blank')
			idle.push(page)
		}
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

// tellHelp, before the script of a worker, has it tell of each answer of a worker of its own; countHelp has the page count them.
export const tellHelp = `self.Worker = self.Worker && class extends self.Worker {
	constructor(address) {
		super(address)
		this.addEventListener('message', ({ data }) => { if (data.result?.answer) self.postMessage({ helped: true }) })
	}
};`
export function countHelp(tell) {
	globalThis.help = 0
	const { Blob, Worker } = globalThis
	globalThis.Worker = class extends Worker {
		constructor(address) {
			super(address)
			this.addEventListener('message', ({ data }) => { if (data.helped) globalThis.help++ })
		}
	}
	globalThis.Blob = class extends Blob {
		constructor(parts, options) { super(options?.type === 'text/javascript' ? [tell, ...parts] : parts, options) }
	}
}

// helped holds a page to having been helped with a record, if there is more than one core.
export async function helped(page, size) {
	const [help, cores] = await page.evaluate(() => [globalThis.help, navigator.hardwareConcurrency])
	assert.ok(cores < 2 || help >= size / 64, `${help} answers about ${size} entries, on ${cores} cores`)
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

const looks = ['cat.color', 'cat.keyboard', 'cat.sensory-and-visual-cues']

// accessible holds a page to axe-core's rules whose breach is serious or critical: to all of them, or, when it looks otherwise than before, to
// those that are about looks.
export async function accessible(page, where, again = false) {
	if (!again) await page.evaluate(`${axeSource}; undefined`)
	const found = await page.evaluate((options) => globalThis.axe.run(document, { ...options, resultTypes: ['violations'], preload: false }), again ? { runOnly: looks, rules: { 'color-contrast-enhanced': { enabled: false } } } : {})
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

// picture keeps what the page looks like, if somebody wants to look at it: as soon as it looks the same twice, since the first pictures of a page, or of a
// page that has another size now, may be made of pieces of it.
export async function picture(page, name) {
	if (!plan.screenshots) return
	const size = page.viewportSize().width < 600 ? 'phone' : 'desktop'
	let before = Buffer.of()
	for (let i = 0; i < 6; i++) {
		const now = await page.screenshot({ fullPage: true })
		if (now.equals(before)) {
			fs.writeFileSync(path.join(plan.screenshots, `${name}-${size}.png`), now)
			return
		}
		before = now
	}
	assert.fail(`no two pictures of ${name} are the same`)
}

// tool skips a test where a program is missing; in CI, which installs them all, that is a failure. It returns whether it is there.
export function tool(t, name, from) {
	const found = process.env.PATH.split(path.delimiter).some((dir) => fs.existsSync(path.join(dir, name)))
	if (found) return true
	assert.ok(!process.env.UNDERSIGNED_NO_SKIP, `${name} is not installed (Debian: ${from})`)
	t.skip(`${name} is not installed (Debian: ${from})`)
	return false
}

const interactive = 'a[href], button, input, textarea, select, summary, [tabindex], audio[controls], video[controls], [contenteditable]'

// tabThrough presses Tab until the focus has been everywhere, and returns how many stops there are. Each stop must be seen to have the
// focus, and every control must be a stop. The page itself takes note of them; where no scripts run, see scriptless.
export async function tabThrough(page, where) {
	await page.emulateMedia({ reducedMotion: 'reduce' })
	await page.evaluate((interactive) => {
		const shown = (e) => e.checkVisibility({ checkVisibilityCSS: true }) && !e.disabled && e.tabIndex >= 0 && e.type !== 'hidden'
		// Of buttons with one name only the chosen one, or the first, is a stop.
		const radios = (e) => e.type !== 'radio' || e.checked || ![...document.querySelectorAll(`input[name="${CSS.escape(e.name)}"]`)].some((o) => o.checked || o.compareDocumentPosition(e) & 4)
		// What has the focus in a drawing is drawn otherwise.
		const drawn = (e) => [...e.children].map((c) => { const s = getComputedStyle(c); return `${s.stroke} ${s.strokeWidth} ${s.fill}` }).join()
		const look = (e) => { const s = getComputedStyle(e); return { outline: s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0 && s.outlineColor !== 'rgba(0, 0, 0, 0)', shadow: s.boxShadow } }
		const inView = (e) => {
			const rect = (e.matches('.away, [type=file]') && e.closest('label') || e).getBoundingClientRect()
			return (e.ownerSVGElement || rect.width > 1 && rect.height > 1) && rect.bottom > 0 && rect.top < innerHeight && rect.right > 0 && rect.left < innerWidth
		}
		const stops = new Set([...document.querySelectorAll(interactive)].filter((e) => shown(e) && radios(e)))
		const before = new Map([...stops].filter((e) => e.ownerSVGElement).map((e) => [e, drawn(e)]))
		const reached = new Set()
		const wrong = new Set()
		const doubted = new Set()
		let out = 0 // times that the focus was nowhere: it may begin anywhere, and goes on at the start of the page
		const note = () => {
			const e = document.activeElement
			if (!e || e === document.body) {
				out++
				return
			}
			if (reached.has(e)) return // a date field has a stop for each of its parts
			reached.add(e)
			const focused = look(e)
			const label = e.closest('label')
			const name = e.outerHTML.slice(0, 160)
			if (!(e.ownerSVGElement && drawn(e) !== before.get(e) || focused.outline || focused.shadow !== 'none' || label && look(label).outline)) wrong.add(`no sign of the focus: ${name}`)
			if (!inView(e)) doubted.add(e) // or it has not scrolled yet
		}
		document.addEventListener('keydown', note) // before the focus goes on
		globalThis.tabbed = async (end) => {
			note()
			for (const e of end ? doubted : []) {
				e.focus()
				await new Promise((f) => requestAnimationFrame(() => requestAnimationFrame(f)))
				if (!inView(e)) wrong.add(`out of sight: ${e.outerHTML.slice(0, 160)}`)
			}
			if (end) {
				document.activeElement?.blur()
				scrollTo(0, 0)
			}
			const missed = [...stops].filter((e) => !reached.has(e))
			return { total: stops.size, left: missed.length, out, missed: missed.slice(0, 5).map((e) => e.outerHTML.slice(0, 160)), wrong: [...wrong].slice(0, 5) }
		}
		document.activeElement?.blur()
		getSelection()?.removeAllRanges()
		scrollTo(0, 0)
	}, interactive)
	const total = await page.evaluate(() => document.querySelectorAll('*').length)
	let told
	for (let i = 0; i < 2 * total + 20; i += 20) {
		await Promise.all(Array.from({ length: 20 }, () => page.keyboard.press('Tab')))
		told = await page.evaluate(() => globalThis.tabbed(false))
		if (told.left === 0 || told.out > 2) break
	}
	told = await page.evaluate(() => globalThis.tabbed(true))
	assert.deepEqual({ missed: told.missed, wrong: told.wrong }, { missed: [], wrong: [] }, where)
	return told.total
}
