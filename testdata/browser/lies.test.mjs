// Servers that show the record otherwise than it is (browserLiars): the browser's own verdict contradicts each, in red, in words, on top of the page
// too, and names who the lie is about. Where nothing is shown to be false it is amber, and a server that only fails is no liar: grey.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { file, picture, plan, settled, state, visit } from './harness.mjs'

const timeout = 300_000
const { statements, entries } = plan.main
const tccm = `statement/${statements.tccm.hash}`
const entry = `entry/${entries.apnic}`
const forged = 'forged.example'

// The lie, a page, what tells it, its exit code, who it is about, and what else is said of it.
const lies = [
	['hash tile', '', '#browser-check', 20],
	['entry tile', '', '#browser-check', 20],
	['entry tile', tccm, '#browser-check', 20],
	['another root', '', '#browser-check', 13],
	['no witnesses', '', '#browser-check', 21],
	['dropped from the page', '', '#browser-check', 20, 'blacknight.com'],
	['dropped from the page', tccm, '#browser-check', 20, 'blacknight.com'],
	['dropped from the page', `${tccm}?as-of=2024-06-11`, '#browser-check', 20, 'blacknight.com'],
	['added to the page', '', '#browser-check', 20, forged],
	['added to the page', tccm, '#browser-check', 20, forged],
	['dropped, no witnesses', '', '#browser-check', 20, 'blacknight.com', /enough witnesses/],
	['dropped, no witnesses', tccm, '#browser-check', 20, 'blacknight.com', /enough witnesses/],
	['another number in words', '', '#browser-check', 20, '', /this page says 9\d+ and/],
	['another number in words', tccm, '#browser-check', 20, '', /this page says 9\d+ and/],
	['another domain in words', tccm, '#browser-check', 20, forged],
	['another date', tccm, '#browser-check', 20, 'blacknight.com', /by entry \d+ of \d+ \w+ 2024\. This page says something else/],
	['another date', 'organization/blacknight.com', '#browser-check', 20, 'blacknight.com', /endorsed this on \d+ \w+ 2024/],
	['another date', 'organization/guest.undersigned.example', '#browser-check', 20, 'guest.undersigned.example', /withdrew on 9 August 2024.*The endorsement is entry \d+, of 18 July 2024/s],
	['dispute hidden', '', '#browser-check', 20, 'stolen.example', /later said to be stolen, so that entry \d+ is disputed\. This page does not say so/],
	['dispute hidden', tccm, '#browser-check', 20, 'stolen.example', new RegExp(`entry ${entries.stolen} is disputed\\. This page does not say so`)],
	['dispute hidden', 'organization/stolen.example', '#browser-check', 20, 'stolen.example', new RegExp(`entry ${entries.stolen} is disputed`)],
	['withdrawn among the standing', tccm, '#browser-check', 20, 'guest.undersigned.example', /withdrew on 9 August 2024.*among those who stand/],
	['renamed on the page', '', '#browser-check', 20, forged],
	['withdrawal hidden', tccm, '#browser-check', 20, 'guest.undersigned.example'],
	['withdrawal hidden', 'organization/guest.undersigned.example', '#browser-check', 20, 'guest.undersigned.example', /In the record guest.* withdrew on 9 August 2024/],
	['earlier word', 'organization/guest.undersigned.example', '#browser-check', 20, 'guest.undersigned.example', new RegExp(`entry 60 is something else\\. The endorsement is entry ${entries.guest}, of 18 July 2024`)],
	['older list', tccm, '#browser-check', 20, 'guest.undersigned.example', /answers with an older one.*Example Guest \(.*\) withdrew on 9 August 2024.*Late Example Registry .* has stood behind it since.* and 1 withdrew; this page says 22 and 0/s],
	['another day', '', '#browser-check', 20, '', /asks for today’s list; this page shows the list as of 18 July 2024/],
	['another day', `${tccm}?as-of=2024-06-11`, '#browser-check', 20, '', /asks for the list as of 11 June 2024; this page shows today’s list/],
	['another text', tccm, '#browser-check', 20],
	['another text', '', '#browser-check', 20],
	['another article', tccm, '#browser-check', 20],
	['another receipt', entry, '#verdict', 20, '', /is false\. It proves nothing/],
	['receipt of another', entry, '#verdict', 20, '', new RegExp(`of entry ${entries.apnic + 1}, and not of entry ${entries.apnic}`)],
	['receipt of a charter', entry, '#verdict', 20, '', new RegExp(`of entry 0, and not of entry ${entries.apnic}`)],
	['receipt of another record', entry, '#verdict', 20, '', /two records, both signed, that disagree about entry/],
	['another title', 'organization/apnic.net', '#browser-check', 20, '', /The record calls this statement/],
	['another organization', 'organization/blacknight.com', '#browser-check', 20, '', /asks for blacknight\.com; .* apnic\.net/],
]

// The exit code of a copy that too few witnesses signed.
const unwitnessed = 21

const places = (path) => path.replace(/[0-9a-f]{64}/, '').replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '') || 'home'

const questions = async (page) => Object.fromEntries(await page.locator('#verdict [data-question]').evaluateAll((all) => all.map((e) => [e.dataset.question, e.dataset.state])))

// What the record says of the endorsement on an entry's page.
const recorded = { 'did-they-sign': 'look-closer', 'this-exact-text': 'confirmed', when: 'confirmed', 'does-it-still-stand': 'confirmed' }

describe('lies', { concurrency: 2 }, () => {
	for (const [lie, path, where, code, about = '', more = /./] of lies) {
		test(`${lie}: /${path.replace(/[0-9a-f]{64}/, '…')}`, { timeout }, () => visit({}, async (page) => {
			await page.goto(plan.liars[lie] + path)
			await settled(page)
			const told = await state(page, where)
			assert.deepEqual({ state: told.state, code: told.code }, { state: code === unwitnessed ? 'look-closer' : 'no', code }, told.text)
			assert.match(told.text, code === unwitnessed ? /▲/ : /✖/)
			assert.equal(await page.locator(code === unwitnessed ? '.alarm.is-look-closer' : '.alarm.is-no').count(), 1, 'it is said on top')
			assert.equal(await page.locator('.alarm').count(), 1)
			assert.match(told.text, more)
			// A false receipt says nothing about who signed: the record does.
			if (where === '#verdict') assert.deepEqual(await questions(page), lie === 'receipt of another record' ? {} : recorded) // of two records neither tells
			if (about) {
				assert.ok(told.difference.split(' ').includes(about), `it names ${told.difference}`)
				assert.ok(told.text.includes(about), told.text)
			}
			await picture(page, `lie-${lie.replaceAll(' ', '-')}-${places(path)}`)
		}))
	}

	// There is nothing to hold against the record, and so nothing is green.
	for (const path of ['', tccm]) {
		test(`no list: /${path.replace(/[0-9a-f]{64}/, '…')}`, { timeout }, () => visit({}, async (page) => {
			await page.goto(plan.liars['no list'] + path)
			await settled(page)
			const told = await state(page, '#browser-check')
			assert.deepEqual({ state: told.state, code: told.code }, { state: 'could-not-check', code: 3 }, told.text)
			assert.doesNotMatch(await page.locator('#main').innerText(), /✔/)
		}))
	}

	// That the record grows excuses an older page, and nothing else.
	for (const [what, truth, want] of [['a false page', false, 'no'], ['an older page', true, 'look-closer']]) {
		test(`${what} of an organization, and a newer one when asked again`, { timeout }, () => visit({ fresh: true }, async (page) => {
			const path = 'organization/guest.undersigned.example'
			await page.route(`**/${path}`, async (route) => {
				const response = await route.fetch()
				let body = await response.text()
				if (route.request().resourceType() === 'document') {
					body = body.replace(/(id="organization"[^>]* data-size=")\d+/, `$1${entries.withdrawal}`)
					if (truth) body = body.replace(new RegExp(`<li[^>]* data-index="${entries.withdrawal}".*?</li>`, 's'), '')
					else body = body.replaceAll(`data-index="${entries.withdrawal}"`, `data-index="${entries.withdrawal - 1}"`)
				}
				await route.fulfill({ response, body })
			})
			await page.goto(plan.main.url + path)
			await settled(page)
			const told = await state(page, '#browser-check')
			assert.equal(told.state, want, told.text)
		}))
	}

	test('another date, where no element is for dates', { timeout }, () => visit({ fresh: true }, async (page) => {
		await page.route(`**/${tccm}`, async (route) => {
			const response = await route.fetch()
			const body = (await response.text()).replace('<ol class="names"', '<ol class="others"')
				.replace(/(<li data-domain="blacknight\.com".*?)<time[^>]*>([^<]*) 2024<\/time>/s, '$1<span>$2 2023</span>')
			await route.fulfill({ response, body })
		})
		await page.goto(plan.main.url + tccm)
		await settled(page)
		const told = await state(page, '#browser-check')
		assert.deepEqual({ state: told.state, difference: told.difference }, { state: 'no', difference: 'blacknight.com' }, told.text)
	}))

	// It may be recorded and not published yet, while witnesses are away: nobody is accused of it, and nothing is green.
	for (const path of [tccm, 'organization/blacknight.com']) {
		test(`a dispute that the record does not have: /${path.replace(/[0-9a-f]{64}/, '…')}`, { timeout }, () => visit({}, async (page) => {
			await page.goto(plan.liars['dispute made up'] + path)
			await settled(page)
			const told = await state(page, '#browser-check')
			assert.deepEqual({ state: told.state, code: told.code }, { state: 'look-closer', code: 0 }, told.text)
			assert.match(told.text, /of blacknight\.com, is disputed\. In the published record it is not, or not yet/)
		}))
	}

	test('a dispute that appears while the page is read, of who endorses again by then', { timeout }, () => visit({ fresh: true }, async (page) => {
		await page.route(`**/${tccm}`, async (route) => {
			const read = route.request().resourceType() === 'document'
			const response = await route.fetch(read ? { url: `${plan.main.url}${tccm}?size=${entries.revoke}` } : {})
			let body = (await response.text()).replace(/<span class="mark amber">.*?disputed.*?<\/span>\n/g, '')
			if (!read) body = body.replace(`data-domain="stolen.example" data-index="${entries.stolen}"`, `data-domain="stolen.example" data-index="${entries.revoke + 1}"`)
			await route.fulfill({ response, body })
		})
		await page.goto(plan.main.url + tccm)
		await settled(page)
		const told = await state(page, '#browser-check')
		assert.equal(told.state, 'look-closer', told.text)
	}))

	test('a false receipt and no record', { timeout }, () => visit({ fresh: true, expected: [/Failed to load resource/] }, async (page) => {
		await page.route('**/tile/**', (route) => route.fulfill({ status: 404 }))
		await page.goto(plan.liars['another receipt'] + entry)
		await settled(page)
		const told = await state(page, '#verdict')
		assert.deepEqual({ state: told.state, code: told.code }, { state: 'no', code: 20 }, told.text)
		assert.match(told.text, /neither that they signed, nor that they did not/)
		assert.match(told.text, /✖ contradicted/) // and not "no", which would be an answer
		assert.deepEqual(await questions(page), {})
	}))

	// The browser makes the receipt itself.
	test('no receipt', { timeout }, () => visit({ expected: [/Failed to load resource/] }, async (page) => {
		await page.goto(plan.liars['no receipt'] + entry)
		await settled(page)
		const told = await state(page, '#verdict')
		assert.deepEqual({ state: told.state, code: told.code }, { state: 'look-closer', code: 0 }, told.text)
		assert.match(told.text, /could not be loaded/)
		assert.doesNotMatch(told.text, /✖|503/)
		assert.deepEqual(await questions(page), recorded)
		await picture(page, 'failure-no-receipt')
	}))

	for (const [failure, path, where] of [['no tiles', '', '#browser-check'], ['no tiles', tccm, '#browser-check'], ['no checkpoint', '', '#browser-check']]) {
		test(`${failure}: /${path.replace(/[0-9a-f]{64}/, '…')}`, { timeout }, () => visit({ expected: [/Failed to load resource/] }, async (page) => {
			await page.goto(plan.liars[failure] + path)
			await settled(page)
			const told = await state(page, where)
			assert.deepEqual({ state: told.state, code: told.code }, { state: 'could-not-check', code: 3 }, told.text)
			assert.doesNotMatch(told.text, /✖/)
			await picture(page, `failure-${failure.replaceAll(' ', '-')}-${places(path)}`)
		}))
	}

	// The answer to what somebody brings rests on the record, not on what the page shows.
	test('what is brought is judged by the record', { timeout }, () => visit({}, async (page) => {
		await page.goto(plan.liars['another text'])
		await settled(page)
		await page.locator('#check-file').setInputFiles(file('altered.txt'))
		const told = await state(page, '#answer')
		assert.notEqual(told.code, 0, told.text)
		assert.notEqual(told.state, 'confirmed', told.text)
	}))

	test('the network is gone', { timeout }, () => visit({ fresh: true, expected: [/Failed to load resource/] }, async (page) => {
		await page.goto(plan.main.url)
		await settled(page)
		await page.context().setOffline(true)
		await page.locator('#check-input').fill('apnic.net')
		await page.locator('#check-form button[type=submit]').click()
		// The record is here already.
		assert.equal((await state(page, '#answer')).code, 0)
	}))
})
