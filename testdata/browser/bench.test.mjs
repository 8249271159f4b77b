// Sizes and times, printed and never asserted: make browser-bench.
import os from 'node:os'
import { test } from 'node:test'
import { plan, settled, state, visit } from './harness.mjs'

const rounds = 5
const median = (all) => all.sort((a, b) => a - b)[Math.floor(all.length / 2)]

test('sizes and times', { skip: !plan.bench, timeout: 1_800_000 }, async () => {
	const { url, entries } = plan.main
	await visit({ fresh: true }, async (page) => {
		await page.goto(url)
		await settled(page)
		const all = await page.evaluate(() => performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation')).map((e) => [new URL(e.name).pathname, e.encodedBodySize, e.decodedBodySize]))
		const { pathname } = new URL('/assets/undersigned.wasm', url)
		// What the worker fetches is not in the page's list.
		const wasm = await page.request.get(url + pathname.slice(1), { headers: { 'accept-encoding': 'br' } })
		console.log(`undersigned.wasm: ${wasm.headers()['content-length']} bytes over the wire, ${(await wasm.body()).length} unpacked`)
		for (const [path, encoded, decoded] of all) console.log(`${path}: ${encoded} bytes over the wire, ${decoded} unpacked`)
	})
	const loads = []
	const verdicts = []
	for (let i = 0; i < rounds; i++) {
		await visit({ fresh: true }, async (page) => {
			const begun = performance.now()
			await page.goto(`${url}entry/${entries.apnic}`)
			await state(page, '#verdict')
			loads.push(performance.now() - begun)
		})
		await visit({}, async (page) => {
			await page.goto(url)
			await settled(page)
			await page.locator('#answer').evaluate((e) => { e.dataset.state = 'busy' })
			await page.locator('#check-input').fill('apnic.net')
			const begun = performance.now()
			await page.locator('#check-form button[type=submit]').click()
			await state(page, '#answer')
			verdicts.push(performance.now() - begun)
		})
	}
	console.log(`from opening a receipt's page to its verdict, nothing cached, ${plan.main.size} entries replayed: ${Math.round(median(loads))} ms (median of ${rounds})`)
	console.log(`from a name to its verdict, all loaded: ${Math.round(median(verdicts))} ms (median of ${rounds})`)
	// A record that is too large to be replayed unasked: what a page says of it, and all of it when that is asked for.
	const said = []
	const asked = []
	for (let i = 0; i < 3; i++) {
		await visit({ fresh: true }, async (page) => {
			const begun = performance.now()
			await page.goto(`${plan.large.url}record`)
			await state(page, '#browser-check')
			said.push(performance.now() - begun)
			await page.locator('#browser-check').evaluate((e) => { e.dataset.state = 'busy' })
			const clicked = performance.now()
			await page.locator('#browser-check [data-all]').click()
			await state(page, '#browser-check')
			asked.push(performance.now() - clicked)
		})
	}
	console.log(`from opening a page of a record of ${plan.large.size} entries to what it says: ${Math.round(median(said))} ms; from asking for all of it to its answer: ${Math.round(median(asked))} ms (medians of 3)`)
	// A list is read entry by entry, beside the replay.
	await visit({ fresh: true }, async (page) => {
		const begun = performance.now()
		await page.goto(`${plan.crowd.url}statement/${plan.crowd.statements.crowd.hash}`)
		await state(page, '#browser-check')
		console.log(`from opening a list to having held it against ${plan.crowd.size} entries, half of them signatories: ${Math.round(performance.now() - begun)} ms`)
	})
	// Interleaved, with the workers that check signatures and without.
	for (const [what, record] of [['most of them endorsements with one signature', plan.many], ['half of them registrations with a new key', plan.crowd]]) {
		const times = { alone: [], helped: [] }
		for (let i = 0; i < 3; i++) for (const how of Object.keys(times)) {
			await visit({ fresh: true }, async (page) => {
				if (how === 'alone') {
					await page.route('**/assets/worker.js', async (route) => {
						const response = await route.fetch()
						await route.fulfill({ response, body: (await response.text()).replace('const mostHelpers = 4;', 'const mostHelpers = 0;') })
					})
				}
				const begun = performance.now()
				await page.goto(`${record.url}record`)
				await state(page, '#browser-check')
				times[how].push(performance.now() - begun)
				await page.unrouteAll()
			})
		}
		console.log(`from opening a page to ${record.size} entries replayed, ${what}: ${Math.round(median(times.helped))} ms, without helpers ${Math.round(median(times.alone))} ms (medians of 3; ${os.availableParallelism()} cores)`)
	}
})
