// Every screen on a desk and on a phone, light and dark, with JavaScript and without: it says what it is about, axe-core finds nothing
// serious, nothing scrolls sideways, and Tab reaches every control.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { accessible, desktop, fits, narrow, phone, picture, plan, settled, tabThrough, visit } from './harness.mjs'
import { screens } from './screens.mjs'

for (const { name, path, text } of screens) {
	test(name, () => visit({}, async (page) => {
		const answer = await page.goto(plan.main.url + path)
		assert.equal(answer.status(), 200)
		const csp = answer.headers()['content-security-policy']
		assert.match(csp, /^default-src 'none'/)
		assert.doesNotMatch(csp, /unsafe-inline|'unsafe-eval'|http|\*/)
		await settled(page)
		assert.ok((await page.locator('body').innerText()).includes(text), `no ${text}`)
		assert.equal(await page.locator('h1').count(), 1, 'one main heading')
		await accessible(page, `${name}, light`)
		await fits(page, name)
		await picture(page, name)
		await tabThrough(page, name)
		await page.setViewportSize(phone)
		await page.emulateMedia({ colorScheme: 'dark' })
		await accessible(page, `${name}, dark`)
		await fits(page, name)
		await picture(page, `${name}-dark`)
		await page.setViewportSize(narrow)
		await fits(page, name)
		await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' })
		assert.deepEqual(await page.evaluate(() => [...document.querySelectorAll('*')].filter((e) => {
			const s = getComputedStyle(e)
			return (s.transitionDuration + ',' + (s.animationName === 'none' ? '' : s.animationDuration)).split(',').some((d) => parseFloat(d) > 0.011)
		}).map((e) => e.outerHTML.slice(0, 100))), [], 'what moves with reduced motion')
		await page.emulateMedia({ forcedColors: 'active' })
		await fits(page, name)
		assert.deepEqual(await page.evaluate(() => [...document.querySelectorAll('main *')].filter((e) => getComputedStyle(e).forcedColorAdjust === 'none' && !e.closest('svg')).map((e) => e.outerHTML.slice(0, 100))), [], 'what keeps its colours')
		await picture(page, `${name}-forced`)
	}))

	test(`${name} without JavaScript`, () => visit({ js: false, viewport: narrow }, async (page) => {
		await page.goto(plan.main.url + path)
		assert.ok((await page.locator('body').innerText()).includes(text), `no ${text}`)
		await fits(page, name)
		await page.setViewportSize(desktop)
		await accessible(page, `${name} without JavaScript`, false)
		await picture(page, `${name}-plain`)
		await tabThrough(page, `${name} without JavaScript`)
	}))
}
