// Pages to take away: saved, and opened from the disk without a network. They ask for nothing, and give the answers that the program gives.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import { describe, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { accessible, countHelp, file, fits, helped, narrow, picture, plan, settled, state, tabThrough, tellHelp, visit } from './harness.mjs'

const timeout = 300_000
const { url, statements, entries } = plan.main

async function save(path, name) {
	await visit({}, async (page) => {
		const answer = await page.request.get(url + path)
		assert.equal(answer.status(), 200)
		fs.writeFileSync(file(name), await answer.body())
	})
	return name
}

// Opens a file, with the network off, and holds it to asking for nothing but what it holds itself.
function opened(name, options, body) {
	return visit({ offline: true, ...options }, async (page, requests) => {
		await page.goto(pathToFileURL(file(name)).href)
		await body(page)
		assert.deepEqual(requests.filter((r) => !/^(blob|data):/.test(r)).slice(1), [], 'what it asked for')
	})
}

const raw = async (page, selector) => JSON.parse(await page.locator(`${selector} [data-raw]`).first().textContent())

describe('pages to take away', { concurrency: 2 }, () => {
	for (const [from, make] of [['the server', () => save(`entry/${entries.apnic}/page.html`, 'page-server.html')], ['the program', async () => 'page-receipt.html']]) {
		test(`a receipt, from ${from}`, { timeout }, async () => {
			const name = await make()
			await opened(name, { motion: 'reduce' }, async (page) => {
				const told = await state(page, '#verdict')
				const want = plan.answers['apnic alone']
				assert.equal(told.code, want.code, told.text)
				assert.deepEqual(await raw(page, '#verdict'), want.json)
				await accessible(page, name)
				await picture(page, `takeaway-${from.replace(' ', '-')}`)
				await tabThrough(page, name)
				await page.setViewportSize(narrow)
				await fits(page, name)
				// The text that was endorsed is there to be read.
				await page.locator('#inside summary').click()
				assert.equal(await page.locator('#inside pre').textContent(), fs.readFileSync(file('statement.txt'), 'utf8'))
				await fits(page, `${name}, with its text`)
				// The text that somebody holds it against.
				await page.locator('#check-file').setInputFiles(file('altered.txt'))
				assert.equal((await state(page, '#answer')).code, 10)
			})
		})
	}

	test('a record for which other workers check signatures', { timeout }, async () => {
		const { url, statements, size } = plan.crowd
		await visit({}, async (page) => {
			const answer = await page.request.get(`${url}statement/${statements.crowd.hash}/page.html`)
			assert.equal(answer.status(), 200)
			fs.writeFileSync(file('page-crowd.html'), await answer.body())
		})
		await visit({ offline: true }, async (page) => {
			await page.addInitScript(`(${countHelp})(${JSON.stringify(tellHelp)})`)
			await page.goto(pathToFileURL(file('page-crowd.html')).href)
			const told = await state(page, '#browser-check')
			assert.equal(told.state, 'confirmed', told.text)
			assert.ok(told.text.replaceAll(/[,\u202f\u00a0]/g, '').includes(`all ${size} entries`), told.text)
			await helped(page, size)
		})
	})

	test('the whole record', { timeout }, async () => {
		const name = await save(`statement/${statements.tccm.hash}/page.html`, 'page-record.html')
		await opened(name, {}, async (page) => {
			await settled(page)
			const told = await state(page, '#browser-check')
			assert.equal(told.state, 'confirmed', told.text)
			assert.match(told.text, /re-checked all \d+ entries/)
			for (const [text, code] of [['guest.undersigned.example', 12], ['apnic.net', 0], ['stranger.example', 11]]) {
				await page.locator('#answer').evaluate((e) => { e.dataset.state = 'busy' })
				await page.locator('#check-input').fill(text)
				await page.locator('#check-form button[type=submit]').click()
				assert.equal((await state(page, '#answer')).code, code, text)
			}
			await page.locator('#lists input[type=date]').first().fill('2024-06-11')
			await page.waitForFunction(() => document.querySelectorAll('#lists ol.names')[0]?.childElementCount === 16)
			assert.match(await page.locator('#lists [role=status]').first().innerText(), /: 16 organizations stood behind this text on 11 June 2024\.\s*$/)
			await accessible(page, name)
			await picture(page, 'takeaway-record')
			await page.setViewportSize(narrow)
			await fits(page, name)
		})
	})

	test('the lists are of no other record', { timeout }, async () => {
		const name = await save(`statement/${statements.tccm.hash}/page.html`, 'page-lists.html')
		await opened(name, {}, async (page) => {
			await settled(page)
			await page.locator('#check-file').setInputFiles(file('hostile.zip'))
			assert.equal((await state(page, '#answer')).code, 0)
			const list = page.locator('#lists [role=status]').first()
			await page.locator('#lists input[type=date]').first().fill('2024-06-11')
			await page.waitForFunction((sentence) => document.querySelector('#lists [role=status]').innerText.includes(sentence), 'the archive that you gave')
			await page.locator('#answer button', { hasText: 'Use the earlier record again' }).click()
			await page.locator('#lists input[type=date]').first().fill('2024-06-12')
			await page.waitForFunction(() => document.querySelectorAll('#lists ol.names')[0]?.childElementCount === 16)
			assert.match(await list.innerText(), /: 16 organizations stood/)
		})
	})

	test('a receipt with the whole record', { timeout }, () => opened('page-gone.html', {}, async (page) => {
		const told = await state(page, '#verdict')
		assert.equal(told.code, plan.answers.guest.code, told.text)
		assert.deepEqual(await raw(page, '#verdict'), plan.answers.guest.json)
	}))

	test('without JavaScript', { timeout }, () => opened('page-receipt.html', { js: false, viewport: narrow }, async (page) => {
		assert.match(await page.locator('noscript').innerText(), /script/i)
		await fits(page, 'without JavaScript')
	}))

	// What is changed in it by somebody else is found out.
	test('altered', { timeout }, async () => {
		const html = fs.readFileSync(file('page-receipt.html'), 'utf8')
		const changed = html.replace(/(id="held-receipt"[^>]*>)([^<]+)/, (_, head, data) => {
			// The entry is in the receipt's line of extra data.
			const bytes = Buffer.from(Buffer.from(data, 'base64').toString('utf8').replace(/^extra (.*)$/m, (_, extra) => {
				const leaf = Buffer.from(extra, 'base64').toString('latin1')
				assert.match(leaf, /^date 2024-06-11$/m)
				return `extra ${Buffer.from(leaf.replace(/^date 2024-06-11$/m, 'date 2024-06-12'), 'latin1').toString('base64')}`
			}))
			return head + bytes.toString('base64')
		})
		assert.notEqual(changed, html)
		fs.writeFileSync(file('page-altered.html'), changed)
		await opened('page-altered.html', {}, async (page) => {
			const told = await state(page, '#verdict')
			assert.equal(told.state, 'no', told.text)
		})
	})
})
