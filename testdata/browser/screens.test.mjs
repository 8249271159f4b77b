// Every screen on a desk and on a phone, light and dark, with JavaScript and without: it says what it is about, axe-core finds nothing
// serious, nothing scrolls sideways, and Tab reaches every control. The short run looks at fewer.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { accessible, desktop, fits, narrow, phone, picture, plan, scriptless, settled, tabThrough, visit } from './harness.mjs'
import { screens } from './screens.mjs'

// What the page says when it is not found is for the console too.
const expected = [/404 \(Not Found\)/]

const timeout = 300_000

async function open(page, { name, path, text }) {
	const answer = await page.goto(plan.main.url + path)
	assert.equal(answer.status(), name === 'not-found' ? 404 : 200)
	const csp = answer.headers()['content-security-policy']
	assert.match(csp, /^default-src 'none'/)
	assert.doesNotMatch(csp, /unsafe-inline|'unsafe-eval'|http|\*/)
	await settled(page)
	assert.ok((await page.locator('body').innerText()).includes(text), `no ${text}`)
	assert.equal(await page.locator('h1').count(), 1, 'one main heading')
	// This server is honest, and nobody says otherwise.
	assert.equal(await page.locator('.alarm, [data-contradicted], .is-no').count(), 0, await page.locator('main').innerText())
}

describe('screens', { concurrency: 2 }, () => {
	// What the modules say of the screens that are looked at below without them.
	test('nothing honest is contradicted', { timeout }, () => visit({ expected }, async (page) => {
		for (const screen of screens.filter((s) => !s.whole)) {
			await open(page, screen)
			await picture(page, `${screen.name}-checked`)
		}
	}))

	for (const screen of screens) {
		const { name, whole } = screen
		if (!whole && !plan.full) continue
		test(name, { timeout }, () => visit({ expected }, async (page) => {
			// What the modules do is the same on all of them.
			if (!whole) await scriptless(page)
			await open(page, screen)
			await accessible(page, `${name}, light`)
			await fits(page, name)
			await picture(page, name)
			if (whole) await tabThrough(page, name)
			await page.setViewportSize(phone)
			await page.emulateMedia({ colorScheme: 'dark' })
			if (whole) await accessible(page, `${name}, dark`, true)
			await fits(page, name)
			await picture(page, `${name}-dark`)
			await page.setViewportSize(narrow)
			await fits(page, name)
			if (!whole) return
			await page.emulateMedia({ colorScheme: 'light' })
			assert.deepEqual(await page.evaluate(() => [...document.querySelectorAll('*')].filter((e) => {
				const s = getComputedStyle(e)
				return (s.transitionDuration + (s.animationName === 'none' ? '' : ',' + s.animationDuration)).split(',').some((d) => parseFloat(d) > 0.011)
			}).map((e) => e.outerHTML.slice(0, 100))), [], 'what moves with reduced motion')
			await page.emulateMedia({ forcedColors: 'active' })
			await fits(page, name)
			await picture(page, `${name}-forced`)
		}))

		if (!whole) continue
		test(`${name} without JavaScript`, { timeout }, () => visit({ js: false, viewport: narrow, expected }, async (page) => {
			await open(page, screen)
			await fits(page, name)
			await page.setViewportSize(desktop)
			await picture(page, `${name}-plain`)
		}))

		if (!plan.full) continue
		test(`${name} without JavaScript, for all`, { timeout }, () => visit({ viewport: narrow, scheme: 'dark', expected }, async (page) => {
			await scriptless(page)
			await open(page, screen)
			await accessible(page, `${name} without JavaScript`)
			await tabThrough(page, `${name} without JavaScript`)
		}))
	}
})
