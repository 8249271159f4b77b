// A record with more entries than a browser replays: what is said of it rests on the newest copy and its proofs, and says so.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { file, picture, plan, settled, state, visit } from './harness.mjs'

const timeout = 300_000

// Without a record of that size the bound is lowered, in the page alone.
const records = [{ name: 'more than the page is told to replay', ...plan.crowd, bound: 500 }]
if (plan.large) records.push({ name: 'more than 10,000 entries', ...plan.large })

const open = (record, path, body) => visit({}, async (page) => {
	if (record.bound) {
		await page.route('**/assets/app.js', async (route) => {
			const response = await route.fetch()
			const source = await response.text()
			assert.match(source, /const smallRecord = 10_000;/)
			await route.fulfill({ response, body: source.replace('10_000', String(record.bound)) })
		})
	}
	await page.goto(record.url + path)
	await body(page)
	await page.unrouteAll()
})
const digits = (text) => text.replaceAll(/[,\u202f\u00a0]/g, '')
const notAll = (record) => `not all ${record.size} entries`

for (const record of records) {
	const [{ hash }] = Object.values(record.statements)
	describe(record.name, { concurrency: 2 }, () => {
		test('pages say what was not checked', { timeout }, async () => {
			assert.ok(record.size > (record.bound ?? 10_000), record.size)
			for (const path of ['', `statement/${hash}`, 'organization/member-00003.example', 'record']) {
				await open(record, path, async (page) => {
					const told = await state(page, '#browser-check')
					assert.equal(told.state, 'could-not-check', path)
					assert.ok(digits(told.text).includes(notAll(record)), told.text)
					await picture(page, `large-${path.split('/')[0]}`)
				})
			}
		})

		test('a name, a text and a page are not looked up', { timeout }, () => open(record, '', async (page) => {
			await settled(page)
			const answer = async (bring) => {
				await page.locator('#answer').evaluate((e) => { e.dataset.state = 'busy' })
				await bring()
				return state(page, '#answer')
			}
			const typed = (text) => answer(async () => {
				await page.locator('#check-input').fill(text)
				await page.locator('#check-form button[type=submit]').click()
			})
			for (const told of [await typed('member-00003.example'), await typed('nobody.example'), await answer(() => page.locator('#check-file').setInputFiles(file('statement.txt')))]) {
				assert.equal(told.state, 'could-not-check', told.text)
				assert.equal(told.code, 3)
				assert.ok(digits(told.text).includes(`${record.size} entries`), told.text)
			}
			// What can be done about a PDF is said first.
			const pdf = await answer(() => page.locator('#check-file').setInputFiles(file('paper.pdf')))
			assert.match(pdf.text, /PDF.*paste/)
			assert.equal(await page.locator('#answer [data-all]').count(), 0)
			// A link to an entry is judged by the receipt that the server has of it.
			const entry = await typed(`${record.url}entry/${record.size - 1}`)
			assert.equal(entry.code, 0, entry.text)
		}))

		test('all of it, if somebody asks for that', { timeout }, () => open(record, '', async (page) => {
			await settled(page)
			await page.locator('#answer').evaluate((e) => { e.dataset.state = 'busy' })
			await page.locator('#check-input').fill('member-00003.example')
			await page.locator('#check-form button[type=submit]').click()
			assert.equal((await state(page, '#answer')).code, 3)
			await page.locator('#answer').evaluate((e) => { e.dataset.state = 'busy' })
			await page.locator('#browser-check').evaluate((e) => { e.dataset.state = 'busy' })
			await page.locator('#answer [data-all]').click()
			const told = await state(page, '#answer')
			assert.equal(told.code, 0, told.text)
			const checked = await state(page, '#browser-check')
			assert.equal(checked.state, 'confirmed', checked.text)
			assert.ok(digits(checked.text).includes(`all ${record.size} entries`), checked.text)
			assert.equal(await page.locator('[data-all]').count(), 0)
		}))

		test('a receipt is judged by its proofs', { timeout }, async () => {
			const index = record.size - 1 // the last endorsement
			await open(record, `entry/${index}`, async (page) => {
				const told = await state(page, '#verdict')
				assert.equal(told.code, 0, told.text)
				const found = {}
				for (const e of await page.locator('#verdict [data-question]').all()) found[await e.getAttribute('data-question')] = await e.getAttribute('data-state')
				// That the key was theirs, and that nothing was said since, takes all entries.
				assert.notEqual(found['did-they-sign'], 'no')
				assert.equal(found['this-exact-text'], 'confirmed')
				assert.equal(found['does-it-still-stand'], 'could-not-check')
				const raw = JSON.parse(await page.locator('#verdict [data-raw]').first().textContent())
				assert.equal(raw.index, index)
				assert.equal(raw.replayed, false)
			})
		})
	})
}
