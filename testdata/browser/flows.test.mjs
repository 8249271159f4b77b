// What people do on the pages, by mouse and by keyboard alone: differences, quotes, dates, lists, downloads, receipts on paper; and what is
// said where the verifier cannot run.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash, generateKeyPairSync } from 'node:crypto'
import fs from 'node:fs'
import { describe, test } from 'node:test'
import { promisify } from 'node:util'
import { accessible, countHelp, file, helped, narrow, phone, picture, plan, settled, state, tabThrough, tellHelp, tool, visit } from './harness.mjs'

const timeout = 300_000
const { url, statements, entries } = plan.main
const tccm = `${url}statement/${statements.tccm.hash}`

async function bring(page, ...names) {
	await page.locator('#answer').evaluate((e) => { e.dataset.state = 'busy' })
	await page.locator('#check-file').setInputFiles(names.map(file))
	return state(page, '#answer')
}

describe('flows', { concurrency: 2 }, () => {
	// A page that still scrolls, gently, may have moved a button away before it is let go.
	test('what differs', { timeout }, () => visit({ motion: 'reduce' }, async (page) => {
		await page.goto(url)
		await settled(page)
		await bring(page, 'altered.txt')
		assert.deepEqual(await page.locator('#answer [data-hunk]').evaluateAll((all) => all.map((e) => e.dataset.hunk)), ['words'])
		// Side by side on a desk, inline on a phone, in words for who listens.
		assert.ok(await page.locator('#answer .sides').isVisible())
		assert.ok(!await page.locator('#answer p.inline').isVisible())
		assert.match(await page.locator('#answer .hunk .away').first().textContent(), /on an equal footing/)
		await page.setViewportSize(phone)
		assert.ok(!await page.locator('#answer .sides').isVisible())
		assert.ok(await page.locator('#answer p.inline').isVisible())
		assert.match(await page.locator('#answer p.inline del').textContent(), /on an equal footing/)
		await bring(page, 'lookalike.txt')
		const hunks = page.locator('#answer [data-hunk=look-alike]')
		assert.equal(await hunks.count(), 2)
		// Each side shows its own text around a difference.
		assert.deepEqual(await page.locator('#answer .hunk .sides').evaluateAll((all) => all.map((e) => [...e.children].map((side) => side.innerText.includes('U+200B')))), [[false, true], [false, true]])
		// What cannot be seen is named.
		const told = await page.locator('#answer .differences').innerText()
		assert.match(told, /U\+0430/)
		assert.match(told, /U\+200B/)
		await page.locator('#answer [data-next]').click()
		assert.ok(await hunks.first().evaluate((e) => e.classList.contains('current')))
		await page.locator('#answer [data-next]').click()
		assert.ok(await hunks.last().evaluate((e) => e.classList.contains('current')))
		await page.locator('#answer [data-previous]').click()
		assert.ok(await hunks.first().evaluate((e) => e.classList.contains('current')))
	}))

	test('a sentence to quote', { timeout }, () => visit({ fresh: true }, async (page) => {
		await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
		await page.goto(url)
		await settled(page)
		await bring(page, 'apnic.tlog-proof')
		await page.locator('#answer [data-copy]').click()
		await page.locator('#answer .quotable [role=status]:not(:empty)').waitFor()
		const quoted = await page.locator('#answer [data-quote]').innerText()
		assert.equal(await page.evaluate(() => navigator.clipboard.readText()), quoted.trim())
		assert.match(quoted, /apnic\.net.*11 June 2024/)
		assert.ok(quoted.includes(`${url}entry/${entries.apnic}`), quoted)
	}))

	test('keyboard alone', { timeout }, () => visit({ motion: 'reduce' }, async (page) => {
		await page.goto(url)
		await settled(page)
		const focused = (selector) => page.evaluate((s) => document.activeElement?.matches(s), selector)
		const tabTo = async (selector) => {
			for (let i = 0; i < 200; i++) {
				if (await focused(selector)) return
				await page.keyboard.press('Tab')
			}
			assert.fail(`Tab never reaches ${selector}`)
		}
		// The first stop leads past the head of the page.
		await page.keyboard.press('Tab')
		assert.ok(await focused('.skip'))
		await page.keyboard.press('Enter')
		await tabTo('#check-input')
		await page.keyboard.type('apnic.net')
		await page.keyboard.press('Control+Enter')
		assert.equal((await state(page, '#answer')).code, 0)
		assert.ok(await focused('#answer .said'))
		await tabTo('#answer summary')
		assert.equal(await page.locator('#answer details[open] [data-raw]').count(), 0)
		await page.keyboard.press('Enter')
		await page.locator('#answer details[open]').first().waitFor()
		for (const summary of await page.locator('#answer summary').all()) {
			await summary.evaluate((e) => { e.parentElement.open = true })
		}
		await tabThrough(page, 'an answer')
		await page.locator('[data-sample=altered]').focus()
		await page.keyboard.press('Enter')
		assert.equal((await state(page, '#answer')).code, 10)
		await tabTo('#answer [data-quote] ~ * button, #answer [data-copy]')
	}))

	test('what is dropped and what is pasted', { timeout }, () => visit({}, async (page) => {
		await page.goto(url)
		await settled(page)
		const drop = async (type, value) => {
			await page.locator('#answer').evaluate((e) => { e.dataset.state = 'busy' })
			const data = await page.evaluateHandle(([type, value]) => {
				const d = new DataTransfer()
				if (type === 'file') d.items.add(new File([value], 'dropped.txt', { type: 'text/plain' }))
				else d.setData('text/plain', value)
				return d
			}, [type, value])
			await page.dispatchEvent('main', 'dragenter', { dataTransfer: data })
			assert.ok(await page.locator('#check-form.over').count() === 1)
			await page.dispatchEvent('main', 'dragover', { dataTransfer: data })
			await page.dispatchEvent('main', 'drop', { dataTransfer: data })
			assert.ok(await page.locator('#check-form.over').count() === 0)
			return state(page, '#answer')
		}
		assert.equal((await drop('file', fs.readFileSync(file('statement.txt'), 'utf8'))).code, 0)
		assert.equal((await drop('file', fs.readFileSync(file('altered.txt'), 'utf8'))).code, 10)
		assert.equal((await drop('text', 'guest.undersigned.example')).code, 12)
		await page.locator('#check-input').fill('')
		await page.locator('#answer').evaluate((e) => { e.dataset.state = 'busy' })
		await page.locator('#check-input').evaluate((e) => {
			const d = new DataTransfer()
			d.setData('text/plain', 'apnic.net')
			e.value = '' // what the browser would do
			e.dispatchEvent(new ClipboardEvent('paste', { clipboardData: d, bubbles: true, cancelable: true }))
			e.value = 'apnic.net'
		})
		assert.equal((await state(page, '#answer')).code, 0)
	}))

	test('Back, Forward and loading again', { timeout }, () => visit({ fresh: true }, async (page, requests) => {
		await page.goto(url)
		await settled(page)
		const said = async () => {
			const told = await state(page, '#answer')
			return [told.code, await page.locator('#check-input').inputValue()]
		}
		const busy = () => page.locator('#answer').evaluate((e) => { e.dataset.state = 'busy' })
		const ask = async (text) => {
			await busy()
			await page.locator('#check-input').fill(text)
			await page.locator('#check-form button[type=submit]').click()
			return said()
		}
		const go = async (how) => {
			await busy()
			await page.evaluate((how) => history[how](), how)
			return said()
		}
		assert.deepEqual(await ask('apnic.net'), [0, 'apnic.net'])
		assert.deepEqual(await ask('guest.undersigned.example'), [12, 'guest.undersigned.example'])
		assert.deepEqual(await go('back'), [0, 'apnic.net'])
		assert.deepEqual(await go('forward'), [12, 'guest.undersigned.example'])
		// The answer comes again, and takes no focus.
		await page.reload()
		assert.deepEqual(await said(), [12, 'guest.undersigned.example'])
		assert.ok(await page.evaluate(() => document.activeElement === document.body))
		// To a place on this page, and to another page and back.
		await page.evaluate(() => { location.hash = 'main' })
		assert.deepEqual(await said(), [12, 'guest.undersigned.example'])
		await page.goto(`${url}record`)
		await settled(page)
		await page.goBack()
		assert.deepEqual(await said(), [12, 'guest.undersigned.example'])
		// A sample is kept by its name, a file is not.
		await busy()
		await page.locator('[data-sample=genuine]').click()
		assert.equal((await said())[0], 0)
		await bring(page, 'altered.txt')
		assert.equal((await go('back'))[0], 0)
		await page.evaluate(() => history.forward())
		await page.waitForFunction(() => document.querySelector('#answer').childElementCount === 0)
		assert.equal(await page.locator('#check-input').inputValue(), '')
		// What another version of the page has kept is no question.
		for (const kept of [{ asked: { typed: { text: 'apnic.net' }, sample: ['genuine'] } }, { asked: 'apnic.net' }, 7]) {
			await page.evaluate((kept) => history.replaceState(kept, ''), kept)
			await page.reload()
			await settled(page)
			assert.deepEqual(await page.evaluate(() => [document.querySelector('#answer').childElementCount, document.querySelector('#check-input').value]), [0, ''])
		}
		// Nothing of it is in an address.
		assert.ok(!requests.concat(page.url()).some((u) => /apnic|guest/.test(u)), requests.join(' '))
	}))

	test('Back twice in haste takes no focus', { timeout }, () => visit({ fresh: true }, async (page) => {
		await page.goto(url)
		await settled(page)
		for (const [name, code] of [['apnic.net', 0], ['guest.undersigned.example', 12], ['example.org', 11]]) {
			await page.locator('#answer').evaluate((e) => { e.dataset.state = 'busy' })
			await page.locator('#check-input').fill(name)
			await page.locator('#check-form button[type=submit]').click()
			assert.equal((await state(page, '#answer')).code, code)
		}
		await page.evaluate(async () => {
			for (let i = 0; i < 2; i++) {
				const gone = new Promise((then) => addEventListener('popstate', then, { once: true }))
				history.back()
				await gone
			}
		})
		assert.equal((await state(page, '#answer')).code, 0)
		assert.ok(await page.evaluate(() => document.activeElement === document.body))
		// What is asked meanwhile takes it.
		await page.evaluate(async () => {
			const gone = new Promise((then) => addEventListener('popstate', then, { once: true }))
			history.forward()
			await gone
			document.querySelector('#check-input').value = 'example.org'
			document.querySelector('#check-form button[type=submit]').click()
		})
		assert.equal((await state(page, '#answer')).code, 11)
		assert.equal(await page.evaluate(() => document.activeElement.className), 'said')
	}))

	test('the box holds no other text than the one that is judged', { timeout }, () => visit({ motion: 'reduce' }, async (page) => {
		await page.goto(url)
		await settled(page)
		const box = page.locator('#check-input')
		await page.locator('#answer').evaluate((e) => { e.dataset.state = 'busy' })
		await box.fill('apnic.net')
		await page.locator('#check-form button[type=submit]').click()
		await state(page, '#answer')
		await bring(page, 'altered.txt')
		assert.equal(await box.inputValue(), '')
		// What nobody has asked about yet stays.
		await box.fill('guest.undersigned.example')
		await bring(page, 'statement.txt')
		assert.equal(await box.inputValue(), 'guest.undersigned.example')
		assert.equal((await state(page, '#answer')).code, 0)
	}))

	test('by another policy the page is checked again', { timeout }, () => visit({ fresh: true }, async (page) => {
		const own = await (await page.request.get(`${url}policy`)).text()
		const [name] = /^log (.*)$/m.exec(own)[1].split('+')
		const key = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'der' }).subarray(-32)
		const other = Buffer.concat([Buffer.from([1]), key])
		const id = createHash('sha256').update(`${name}\n`).update(other).digest('hex').slice(0, 8)
		const stranger = own.replace(/^log .*\n/gm, '').replace(/^witness /m, `log ${name}+${id}+${other.toString('base64')}\nwitness `)
		await page.goto(url)
		await settled(page)
		const box = page.locator('#browser-check')
		assert.equal((await state(page, '#browser-check')).state, 'confirmed')
		for (const [policy, button] of [[stranger, /this policy/], [null, /earlier policy/], [`${own}# mine\n`, /this policy/]]) {
			if (policy) await page.locator('#check-file').setInputFiles({ name: 'mine.txt', mimeType: 'text/plain', buffer: Buffer.from(policy) })
			await page.locator('#answer button', { hasText: button }).click()
			const trusted = policy !== stranger
			await page.waitForFunction((given) => {
				const e = document.querySelector('#browser-check')
				return e.dataset.state !== 'busy' && e.innerText.includes('the policy in mine.txt') === given
			}, policy !== null)
			assert.equal(await box.getAttribute('data-state'), trusted ? 'confirmed' : 'no')
			assert.equal(await page.locator('.alarm').count(), trusted ? 0 : 1)
			await settled(page)
		}
	}))

	test('what it is judged by is said, whatever stands in the box by then', { timeout }, () => visit({ fresh: true }, async (page) => {
		const own = await (await page.request.get(`${url}policy`)).text()
		await page.goto(url)
		await settled(page)
		await page.locator('#check-input').fill(`${own}# mine\n`)
		await page.locator('#check-form button[type=submit]').click()
		await state(page, '#answer')
		await page.evaluate(() => {
			[...document.querySelectorAll('#answer button')].find((b) => b.innerText.includes('this policy')).click()
			const box = document.querySelector('#check-input')
			box.value = 'apnic.net'
			box.dispatchEvent(new Event('input', { bubbles: true }))
		})
		await page.waitForFunction(() => document.querySelector('.judged').innerText.includes('which you gave'))
	}))

	test('what an organization endorsed has no tick of its own', { timeout }, () => visit({}, async (page) => {
		await page.goto(url)
		await settled(page)
		await page.locator('#check-input').fill('apnic.net')
		await page.locator('#check-form button[type=submit]').click()
		await state(page, '#answer')
		assert.equal(await page.locator('#answer [data-question=did-they-sign]').getAttribute('data-state'), 'look-closer')
		const said = await page.locator('#answer .organization').innerText()
		assert.match(said, /Endorsed A technical community/)
		assert.doesNotMatch(said, /✔/)
	}))

	test('an answer goes when another text stands in the box', { timeout }, () => visit({}, async (page) => {
		await page.goto(url)
		await settled(page)
		const box = page.locator('#check-input')
		const told = () => page.locator('#answer').evaluate((e) => [e.childElementCount, e.dataset.state ?? ''])
		await box.fill('apnic.net')
		await page.locator('#check-form button[type=submit]').click()
		assert.equal((await state(page, '#answer')).code, 0)
		await box.fill('stranger.example')
		assert.deepEqual(await told(), [0, ''])
		// So does one that is under way: the next question is answered after it.
		await page.evaluate(() => {
			const box = document.querySelector('#check-input')
			const type = (text) => { box.value = text; box.dispatchEvent(new Event('input', { bubbles: true })) }
			type('apnic.net')
			document.querySelector('#check-form button[type=submit]').click()
			type('guest.undersigned.example')
		})
		assert.deepEqual(await told(), [0, ''])
		await page.locator('#check-form button[type=submit]').click()
		assert.equal((await state(page, '#answer')).code, 12)
	}))

	test('no earlier answer comes after a later one', { timeout }, () => visit({ fresh: true }, async (page) => {
		await page.addInitScript(() => {
			const { Worker } = globalThis
			globalThis.results = 0 // of the worker
			globalThis.Worker = class extends Worker {
				constructor(address) {
					super(address)
					this.addEventListener('message', ({ data }) => { if (data.result) globalThis.results++ })
				}
			}
			globalThis.ask = (text) => {
				document.querySelector('#check-input').value = text
				document.querySelector('#check-form button[type=submit]').click()
			}
			globalThis.drop = (files) => {
				const event = new DragEvent('drop', { bubbles: true })
				Object.defineProperty(event, 'dataTransfer', { value: { types: ['Files'], files } })
				document.querySelector('main').dispatchEvent(event)
			}
		})
		await page.goto(url)
		await settled(page)
		const shown = async (results) => {
			await page.waitForFunction((n) => globalThis.results >= n, results)
			return page.evaluate(() => [document.querySelector('#answer').innerText, document.querySelector('#check-input').value])
		}
		let results = await page.evaluate(() => globalThis.results)
		await page.evaluate(() => {
			globalThis.ask('apnic.net')
			globalThis.drop(['a', 'b', 'c'].map((name) => new File([name], name)))
		})
		assert.match((await shown(++results))[0], /One thing at a time/)
		// A file that is read slowly.
		await page.evaluate(() => {
			const file = new File(['apnic.net'], 'slow.txt')
			globalThis.held = Promise.withResolvers()
			file.arrayBuffer = () => globalThis.held.promise
			globalThis.drop([file])
			globalThis.ask('guest.undersigned.example')
		})
		assert.equal((await state(page, '#answer')).code, 12)
		await page.evaluate(() => globalThis.held.resolve(new ArrayBuffer(1)))
		assert.match((await shown(results += 2))[0], /Example Guest/)
		// A sample whose text comes slowly.
		await page.evaluate(() => {
			const { fetch } = globalThis
			globalThis.held = Promise.withResolvers()
			globalThis.fetch = async (address, options) => {
				const response = await fetch(address, options)
				return /blobs/.test(address) ? { ok: true, arrayBuffer: () => globalThis.held.promise } : response
			}
			document.querySelector('[data-sample=altered]').click()
			globalThis.ask('guest.undersigned.example')
		})
		assert.equal((await state(page, '#answer')).code, 12)
		await page.evaluate(() => globalThis.held.resolve(new TextEncoder().encode('This is a text of several long words.').buffer))
		assert.equal((await shown(results))[1], 'guest.undersigned.example')
	}))

	for (const js of [true, false]) {
		test(`whether it was checked stands beside the number${js ? '' : ' without JavaScript'}`, { timeout }, () => visit({ js, viewport: phone }, async (page) => {
			await page.goto(tccm)
			await settled(page)
			const told = page.locator('[data-checked]')
			for (const [where, size] of [['.jump', phone], ['.beside', { width: 1280, height: 900 }]]) {
				await page.setViewportSize(size)
				const shown = page.locator(where).locator(told)
				assert.match(await shown.innerText(), js ? /✔\s+checked by your browser/ : /\?\s+not checked by this browser/)
				assert.ok(await shown.evaluate((e) => e.getBoundingClientRect().bottom < innerHeight), 'it is on the first screen')
			}
			await told.last().locator('a').click()
			await page.waitForURL(/#browser-check$/)
		}))
	}

	// A record that is too large to be re-checked unasked: this one, for a page whose bound is lower.
	test('who asks for all of a large record keeps the focus', { timeout }, () => visit({ fresh: true }, async (page) => {
		await page.route('**/assets/app*.js', async (route) => {
			const response = await route.fetch()
			const body = (await response.text()).replace('10_000', '10')
			await route.fulfill({ response, body })
		})
		await page.goto(`${url}record`)
		assert.equal((await state(page, '#browser-check')).state, 'could-not-check')
		const all = page.locator('#browser-check [data-all]')
		await all.focus()
		await page.keyboard.press('Enter')
		await page.waitForFunction(() => document.querySelector('#browser-check').dataset.state === 'confirmed')
		assert.equal(await page.evaluate(() => document.activeElement.id), 'browser-check')
	}))

	for (const js of [true, false]) {
		test(`dates, lists and downloads${js ? '' : ' without JavaScript'}`, { timeout }, () => visit({ js }, async (page) => {
			await page.goto(tccm)
			await settled(page)
			const names = () => page.locator('[data-roll] li[data-domain]:not([data-gone])').count()
			assert.equal(await names(), 22)
			assert.equal(await page.locator('[data-roll] li[data-gone]').count(), 1)
			await page.locator('#as-of').fill('2024-06-11')
			await page.locator('#as-of').press('Enter')
			await page.waitForURL(/as-of=2024-06-11/)
			await settled(page)
			assert.equal(await names(), 16)
			assert.match(await page.locator('main').innerText(), /11 June 2024/)
			if (js) assert.equal((await state(page, '#browser-check')).state, 'confirmed')
			// The change after it, and the change before that.
			await page.locator('a[rel=next]').first().click()
			await page.waitForURL((u) => !/as-of=2024-06-11$/.test(u.href))
			await page.locator('a[rel=prev]').first().click()
			await page.waitForLoadState()
			const downloads = await page.goto(tccm).then(() => page.locator('#downloads a, [data-download], a[href*="roll."], a[href*="feed.atom"]').evaluateAll((all) => [...new Set(all.map((a) => a.href))]))
			assert.ok(downloads.length >= 5, downloads.join(' '))
			for (const address of downloads) {
				const answer = await page.request.get(address)
				assert.equal(answer.status(), 200, address)
			}
		}))

		test(`looking up a name${js ? '' : ' without JavaScript'}`, { timeout }, () => visit({ js, viewport: phone }, async (page) => {
			await page.goto(url)
			await page.locator('#find').fill('Blacknight')
			await page.locator('#find').press('Enter')
			await page.waitForURL(/search\?q=Blacknight/)
			if (js) { // the record was re-checked; what was looked up was not held against it
				await settled(page)
				const found = await state(page, '#browser-check')
				assert.equal(found.state, 'could-not-check', found.text)
				assert.match(found.text, /this server’s word.*re-checked all \d+ entries/s)
			}
			await page.locator('a[href="/organization/blacknight.com"]').first().click()
			await page.waitForURL(/organization\/blacknight\.com/)
			assert.match(await page.locator('h1').innerText(), /Blacknight/)
			await page.locator('a[href^="/entry/"]').first().click()
			await page.waitForURL(/entry\/\d+/)
			const [download] = await Promise.all([page.waitForEvent('download'), page.locator('a[download][href^="/api/v1/receipt/"]').click()])
			const saved = file(`downloaded-${js}.tlog-proof`)
			await download.saveAs(saved)
			assert.match(fs.readFileSync(saved, 'utf8'), /^c2sp\.org\/tlog-proof@v1\n/)
		}))
	}

	test('without JavaScript the page says so', { timeout }, () => visit({ js: false }, async (page) => {
		for (const path of ['', `statement/${statements.tccm.hash}`, `entry/${entries.apnic}`, 'organization/apnic.net', 'record']) {
			await page.goto(url + path)
			assert.match(await page.locator('#browser-check').innerText(), /browser/i, path)
			assert.doesNotMatch(await page.locator('main').innerText(), /\bverified\b/i)
		}
		await page.goto(url)
		assert.ok(!await page.locator('#check-form').isVisible(), 'no box that does nothing')
		await page.goto(`${tccm}?as-of=2024-06-11`)
		assert.match(await page.title(), /as of 11 June 2024/)
		assert.match(await page.locator('.figure').innerText(), /16\s+organizations stood behind this text on 11 June 2024/)
	}))

	test('a receipt on paper', { timeout }, (t) => tool(t, 'pdftotext', 'poppler-utils') && visit({}, async (page) => {
		await page.goto(`${url}entry/${entries.apnic}`)
		await settled(page)
		await page.emulateMedia({ media: 'print', colorScheme: 'light' })
		assert.ok(await page.locator('.code svg').isVisible(), 'the code is printed')
		await page.setViewportSize(phone)
		assert.ok(await page.locator('.code svg').isVisible(), 'the code is printed, however small the window is')
		await page.emulateMedia({ media: 'screen' })
		assert.ok(!await page.locator('.code svg').isVisible(), 'no code on the telephone that would read it')
		await page.emulateMedia({ media: 'print', colorScheme: 'light' })
		for (const gone of ['header nav', '.skip', 'button']) {
			for (const e of await page.locator(gone).all()) assert.ok(!await e.isVisible(), `${gone} is printed`)
		}
		const pdf = await page.pdf({ format: 'A4', printBackground: false })
		const to = file('receipt.pdf')
		fs.writeFileSync(to, pdf)
		if (plan.screenshots) fs.writeFileSync(`${plan.screenshots}/receipt.pdf`, pdf)
		const { stdout } = await promisify(execFile)('pdftotext', ['-layout', to, '-'])
		for (const want of ['apnic.net', 'Did they sign?', 'This exact text?', 'When?', 'Does it still stand?', '11 June 2024', statements.tccm.hash.slice(0, 16), `${url}entry/${entries.apnic}`]) {
			assert.ok(stdout.replace(/\s+/g, ' ').includes(want), `${want} is not printed: ${stdout}`)
		}
		assert.doesNotMatch(stdout, /\bverified\b/i)
	}))

	test('the code on a receipt', { timeout }, (t) => tool(t, 'zbarimg', 'zbar-tools') && visit({}, async (page) => {
		for (const scheme of ['light', 'dark']) {
			await page.emulateMedia({ colorScheme: scheme })
			await page.goto(`${url}entry/${entries.apnic}`)
			const to = file(`code-${scheme}.png`)
			await page.locator('.code svg').screenshot({ path: to })
			const { stdout } = await promisify(execFile)('zbarimg', ['--quiet', '--raw', to])
			assert.equal(stdout.trim(), `${url}entry/${entries.apnic}`, `a telephone reads it, ${scheme}`)
		}
	}))

	test('other workers check signatures', { timeout }, () => visit({}, async (page) => {
		await page.addInitScript(`(${countHelp})(${JSON.stringify(tellHelp)})`)
		await page.route('**/assets/worker.js', async (route) => {
			const response = await route.fetch()
			await route.fulfill({ response, body: tellHelp + await response.text() })
		})
		await page.goto(`${plan.crowd.url}record`)
		assert.equal((await state(page, '#browser-check')).state, 'confirmed')
		await helped(page, plan.crowd.size)
		await page.unrouteAll()
	}))

	test('more signatories than a page has', { timeout }, () => visit({}, async (page) => {
		await page.goto(`${plan.crowd.url}statement/${plan.crowd.statements.crowd.hash}`)
		await settled(page)
		const told = await state(page, '#browser-check')
		assert.equal(told.state, 'confirmed', told.text)
		assert.ok(told.text.replaceAll(/[,\u202f\u00a0]/g, '').includes(`all ${plan.crowd.size} entries`), told.text)
		const first = await page.locator('[data-roll] li[data-domain]').count()
		await page.locator('main a[rel=next]').last().click()
		await page.waitForURL(/page=/)
		await settled(page)
		assert.equal((await state(page, '#browser-check')).state, 'confirmed')
		const rest = await page.locator('[data-roll] li[data-domain]').count()
		assert.ok(first > 0 && rest > 0)
		await accessible(page, 'a page of a long list')
		await page.setViewportSize(narrow)
		await picture(page, 'crowd')
	}))

	test('a receipt whose text is gone', { timeout }, () => visit({ fresh: true, expected: [/404/] }, async (page) => {
		await page.route('**/blobs/sha256/*', (route) => route.fulfill({ status: 404 }))
		await page.goto(`${url}entry/${entries.apnic}`)
		const told = await state(page, '#verdict')
		assert.equal(told.code, 0, told.text)
		assert.match(told.text, /No text was given to compare/)
	}))

	// Where the verifier cannot run everything else works, and nothing is red.
	for (const [what, pattern, expected] of [
		['no verifier', '**/assets/undersigned.wasm*', [/Failed to load|ERR_/]],
		['no worker', '**/assets/worker.js*', [/Failed to load|ERR_/]],
		['no policy', '**/policy', [/Failed to load|ERR_/]],
		['no messages', '**/assets/messages.en.json*', [/Failed to load|ERR_/]],
	]) {
		test(what, { timeout }, () => visit({ fresh: true, expected }, async (page) => {
			await page.route(pattern, (route) => route.abort())
			await page.goto(tccm)
			if (what === 'no messages') {
				await page.waitForLoadState('networkidle')
				assert.match(await page.locator('#browser-check').innerText(), /did not check|not checked|checked nothing/i)
				return
			}
			const told = await state(page, '#browser-check')
			assert.deepEqual({ state: told.state, code: told.code }, { state: 'could-not-check', code: 3 }, told.text)
			assert.equal(await page.locator('[data-roll] li[data-domain]:not([data-gone])').count(), 22)
		}))
	}
})
