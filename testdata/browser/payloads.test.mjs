// Attacks through every field (payloads.txt): names, legal names, titles and texts of a record, parameters and paths of addresses, what is
// typed and pasted, names and contents of files. visit fails when a script runs, when the page's policy was broken, when an element that a
// payload made is in the page, and when anything is asked of another server.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import { describe, test } from 'node:test'
import { file, picture, plan, settled, state, visit } from './harness.mjs'

const timeout = 300_000
const payloads = fs.readFileSync('payloads.txt', 'utf8').trimEnd().split('\n')
const { url, statements, entries } = plan.hostile
// Addresses that are none are answered with 4xx, which the console tells.
const expected = [/Failed to load resource: the server responded with a status of 4\d\d/, /net::ERR_BLOCKED_BY_CLIENT/]

// Pages as the server makes them; the modules are looked at below.
async function bare(page) {
	await page.route('**/assets/*.js', (route) => route.abort('blockedbyclient'))
}

async function each(page, paths, look = async () => {}) {
	for (const path of paths) {
		await page.goto(url + path)
		await look(page, path)
		assert.equal(await page.locator('[id=xss]').count(), 0, path)
	}
}

const some = (n) => payloads.map((p, i) => [p, i]).filter(([, i]) => i % n === 0)

describe('payloads', { concurrency: 2 }, () => {
	test('names and titles, as the server shows them', { timeout }, () => visit({ expected }, async (page) => {
		await bare(page)
		await each(page, ['', 'record', 'feed.atom', ...Object.values(statements).map((s) => `statement/${s.hash}`)].filter((p) => p !== 'feed.atom'))
		await each(page, some(4).map(([, i]) => `organization/p${i}.example`), async (page, path) => {
			const payload = payloads[Number(path.match(/\d+/)[0])]
			assert.ok((await page.locator('h1').textContent()).includes(payload), `${path} shows the name as it is`)
		})
		await each(page, some(10).flatMap(([, i]) => [`entry/${entries.first + i}`, `entry/${1 + i}`]))
	}))

	test('texts and lists, looked at by themselves', { timeout }, () => visit({ expected: [...expected, /sandbox/] }, async (page) => {
		const of = (name) => statements[name].hash
		for (const path of [...['all', 'language', 'type'].map((n) => `blobs/sha256/${of(n)}`), `statement/${of('all')}/roll.html`, `statement/${of('all')}/roll.txt`, `statement/${of('all')}/roll.md`, 'entry/5']) {
			// What is a download is not shown.
			await page.goto(url + path).catch((e) => assert.match(String(e), /Download is starting|ERR_ABORTED/))
		}
	}))

	test('parameters and paths', { timeout }, () => visit({ expected }, async (page) => {
		await bare(page)
		await each(page, payloads.map((p) => `search?q=${encodeURIComponent(p)}`))
		await each(page, some(13).flatMap(([p]) => {
			const q = encodeURIComponent(p)
			return [`statement/${statements.all.hash}?as-of=${q}`, `?page=${q}`, `statement/${statements.all.hash}?size=${q}`, `statement/${statements.all.hash}?order=${q}`, `?${q}=${q}`,
				`organization/${q}`, `entry/${q}`, `statement/${q}`, q, `#${q}`]
		}))
	}))

	test('names and titles, as the modules show them', { timeout }, () => visit({}, async (page) => {
		await page.goto(url)
		await settled(page)
		assert.equal((await state(page, '#browser-check')).state, 'confirmed')
		await page.goto(`${url}statement/${statements.all.hash}`)
		await settled(page)
		assert.equal((await state(page, '#browser-check')).state, 'confirmed')
		await page.goto(`${url}organization/p21.example`)
		await settled(page)
		assert.equal((await state(page, '#browser-check')).state, 'confirmed')
		await page.goto(`${url}entry/${entries.first + 21}`)
		await settled(page)
		assert.equal((await state(page, '#verdict')).code, 0)
	}))

	test('what is typed', { timeout }, () => visit({}, async (page) => {
		await page.goto(plan.main.url)
		await settled(page)
		for (const p of payloads) {
			await page.locator('#answer').evaluate((e) => { e.dataset.state = 'busy' })
			await page.locator('#check-input').fill(p)
			await page.locator('#check-form button[type=submit]').click()
			await state(page, '#answer')
			assert.equal(await page.locator('[id=xss]').count(), 0, p)
		}
	}))

	test('files, by their names and by what is in them', { timeout }, () => visit({}, async (page) => {
		await page.goto(plan.main.url)
		await settled(page)
		const drop = async (...files) => {
			await page.locator('#answer').evaluate((e) => { e.dataset.state = 'busy' })
			await page.locator('#check-file').setInputFiles(files)
			await state(page, '#answer')
			assert.equal(await page.locator('[id=xss]').count(), 0, files[0].name)
		}
		for (const [p, i] of some(2)) {
			const name = `${p.replaceAll('/', '\u2215')}.${['txt', 'html', 'tlog-proof', 'pdf', 'zip'][i % 5]}`
			await drop({ name, mimeType: ['text/plain', 'text/html', '', 'application/pdf'][i % 4], buffer: Buffer.from(`${p}\n\n<html><body>${p}</body></html>\n`) })
		}
		await drop({ name: 'all.html', mimeType: 'text/html', buffer: Buffer.from(`<!DOCTYPE html><html><head><title>${payloads.join(' ')}</title></head><body>${payloads.join('\n<p>')}</body></html>`) })
		// Another record, and everything in it, on a page that is about this one.
		await page.locator('#answer').evaluate((e) => { e.dataset.state = 'busy' })
		await page.locator('#check-file').setInputFiles(file('hostile.zip'))
		assert.equal((await state(page, '#answer')).code, 0)
		for (const text of [`${payloads.join('\n')}\n\n- ${payloads.join('\n- ')}\n`, `${payloads.slice(3).join('\n')}\n\n- ${payloads.join('\n- ')}\n`, 'p21.example', 'p1.example', payloads[5]]) {
			await page.locator('#answer').evaluate((e) => { e.dataset.state = 'busy' })
			await page.locator('#check-input').fill(text)
			await page.locator('#check-form button[type=submit]').click()
			await state(page, '#answer')
			for (const summary of await page.locator('#answer summary').all()) await summary.click()
			assert.equal(await page.locator('[id=xss]').count(), 0)
		}
		await picture(page, 'payloads')
	}))
})
