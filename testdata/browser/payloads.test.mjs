// Attacks through every field (payloads.txt): names, legal names, titles and texts of a record, parameters and paths of addresses, what is
// typed and pasted, names and contents of files. visit fails when a script runs, when the page's policy was broken, when an element that a
// payload made is in the page, and when anything is asked of another server.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import { describe, test } from 'node:test'
import { file, picture, plan, settled, state, visit } from './harness.mjs'

const timeout = 300_000
const payloads = fs.readFileSync('payloads.txt', 'utf8').trimEnd().split('\n')
// Of every fourth in the short run.
const some = payloads.map((_, i) => i).filter((i) => plan.full || i % 4 === 0)
const { url, statements, entries } = plan.hostile
// Addresses that are none are answered with 4xx, which the console tells.
const expected = [/Failed to load resource: the server responded with a status of 4\d\d/]

const html = { headers: { accept: 'text/html' }, redirect: 'error' }

// Pages as the server makes them, parsed one after another as one page, under the policy that each of them has: a browser shows fifty as
// quickly as one. What left one of them open would swallow the next. Their modules are left out, and are looked at below.
async function together(page, paths, look = async () => {}) {
	for (let i = 0; i < paths.length; i += 50) {
		const part = paths.slice(i, i + 50)
		const answers = await Promise.all(part.map((path) => fetch(url + path, html)))
		const policies = new Set(answers.map((a) => a.headers.get('content-security-policy')))
		assert.equal(policies.size, 1)
		answers.forEach((a, k) => assert.match(a.headers.get('content-type'), /^text\/html/, part[k]))
		const bodies = await Promise.all(answers.map(async (a) => (await a.text()).replace('<script type="module" src="/assets/app.js"></script>', '')))
		const at = `${url}search?q=together`
		const { 'content-length': _, ...headers } = Object.fromEntries(answers[0].headers)
		await page.route(at, (route) => route.fulfill({ status: 200, headers, body: bodies.join('') }))
		await page.goto(at)
		await page.unroute(at)
		assert.equal(await page.locator('main').count(), part.length, `each of ${part[0]} to ${part.at(-1)} is whole`)
		assert.equal(await page.locator('[id=xss]').count(), 0, part.join(' '))
		await look(part)
	}
}

// Has the box check one thing after another, within the page: what is typed and which files are chosen, as in {text} or {name, type, body}.
async function bring(page, things) {
	const wrong = await page.evaluate(async (things) => {
		const answer = document.querySelector('#answer')
		const files = document.querySelector('#check-file')
		const found = []
		for (const { text, name, type, body } of things) {
			answer.dataset.state = 'busy'
			const done = new Promise((resolve) => {
				const seen = new MutationObserver(() => {
					if (answer.dataset.state === 'busy') return
					seen.disconnect()
					resolve()
				})
				seen.observe(answer, { attributes: true, attributeFilter: ['data-state'] })
			})
			if (name === undefined) {
				document.querySelector('#check-input').value = text
				document.querySelector('#check-form').requestSubmit()
			} else {
				const data = new DataTransfer()
				data.items.add(new File([body], name, { type }))
				files.files = data.files
				files.dispatchEvent(new Event('change'))
			}
			await done
			for (const summary of answer.querySelectorAll('summary')) summary.parentElement.open = true
			if (document.getElementById('xss') || answer.childElementCount === 0) found.push(name ?? text)
		}
		return found
	}, things)
	assert.deepEqual(wrong, [])
}

describe('payloads', { concurrency: 2 }, () => {
	test('what is typed', { timeout }, () => visit({}, async (page) => {
		await page.goto(plan.main.url)
		await settled(page)
		await bring(page, some.map((i) => ({ text: payloads[i] })))
		await page.evaluate((all) => { for (const p of all) location.hash = p }, payloads)
	}))

	test('files, by their names and by what is in them', { timeout }, () => visit({}, async (page) => {
		await page.goto(plan.main.url)
		await settled(page)
		await bring(page, some.map((i) => ({
			name: `${payloads[i].replaceAll('/', '\u2215')}.${['txt', 'html', 'tlog-proof', 'pdf', 'zip'][i % 5]}`, type: ['text/plain', 'text/html', '', 'application/pdf'][i % 4],
			body: `${payloads[i]}\n\n<html><body>${payloads[i]}</body></html>\n`,
		})))
		await bring(page, [{ name: 'all.html', type: 'text/html', body: `<!DOCTYPE html><html><head><title>${payloads.join(' ')}</title></head><body>${payloads.join('\n<p>')}</body></html>` }])
		// Another record, and everything in it, on a page that is about this one.
		await page.locator('#answer').evaluate((e) => { e.dataset.state = 'busy' })
		await page.locator('#check-file').setInputFiles(file('hostile.zip'))
		assert.equal((await state(page, '#answer')).code, 0)
		await bring(page, [`${payloads.join('\n')}\n\n- ${payloads.join('\n- ')}\n`, `${payloads.slice(3).join('\n')}\n\n- ${payloads.join('\n- ')}\n`, 'p21.example', 'p1.example', payloads[5]].map((text) => ({ text })))
		await picture(page, 'payloads')
	}))

	test('names and titles, as the server shows them', { timeout }, () => visit({ expected }, async (page) => {
		await together(page, ['', 'record', ...Object.values(statements).map((s) => `statement/${s.hash}`)])
		await together(page, some.map((i) => `organization/p${i}.example`), async (paths) => {
			const names = await page.locator('h1').allTextContents()
			paths.forEach((path, k) => assert.ok(names[k].includes(payloads[Number(path.match(/\d+/)[0])]), `${path} shows the name as it is`))
		})
		await together(page, some.flatMap((i) => [`entry/${entries.first + i}`, `entry/${1 + i}`]))
	}))

	test('texts and lists, looked at by themselves', { timeout }, () => visit({ expected: [...expected, /sandbox/] }, async (page) => {
		const of = (name) => statements[name].hash
		for (const path of [...['all', 'language', 'type'].map((n) => `blobs/sha256/${of(n)}`), `statement/${of('all')}/roll.html`, `statement/${of('all')}/roll.txt`, `statement/${of('all')}/roll.md`, 'entry/5']) {
			// What is a download is not shown.
			await page.goto(url + path).catch((e) => assert.match(String(e), /Download is starting|ERR_ABORTED/))
		}
	}))

	test('parameters and paths', { timeout }, () => visit({ expected }, async (page) => {
		const of = (p) => {
			const q = encodeURIComponent(p)
			return [`search?q=${q}`, `statement/${statements.all.hash}?as-of=${q}`, `?page=${q}`, `statement/${statements.all.hash}?size=${q}`, `statement/${statements.all.hash}?order=${q}`, `?${q}=${q}`,
				`organization/${q}`, `entry/${q}`, `statement/${q}`, q]
		}
		await together(page, some.flatMap((i) => of(payloads[i])))
		// With the address where a browser has it, and the modules.
		for (const path of payloads.filter((_, i) => i % 52 === 0).flatMap(of)) {
			await page.goto(url + path)
			assert.equal(await page.locator('[id=xss]').count(), 0, path)
		}
	}))

	test('names and titles, as the modules show them', { timeout }, () => visit({}, async (page) => {
		for (const path of ['', `statement/${statements.all.hash}`, 'organization/p21.example']) {
			await page.goto(url + path)
			await settled(page)
			assert.equal((await state(page, '#browser-check')).state, 'confirmed', path)
		}
		await page.goto(`${url}entry/${entries.first + 21}`)
		await settled(page)
		assert.equal((await state(page, '#verdict')).code, 0)
	}))
})
