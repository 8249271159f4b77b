// Servers that show the record otherwise than it is (browserLiars): the browser's own verdict contradicts each, in red, in words, and names
// who the lie is about. A server that only fails is no liar: grey.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { file, picture, plan, settled, state, visit } from './harness.mjs'

const timeout = 300_000
const { statements, entries } = plan.main
const tccm = `statement/${statements.tccm.hash}`
const entry = `entry/${entries.apnic}`
const forged = 'forged.example'

// The lie, a page, what tells it, its exit code, and who it is about.
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
	['renamed on the page', '', '#browser-check', 20, forged],
	['withdrawal hidden', tccm, '#browser-check', 20, 'guest.undersigned.example'],
	['withdrawal hidden', 'organization/guest.undersigned.example', '#browser-check', 20, 'guest.undersigned.example'],
	['earlier word', 'organization/guest.undersigned.example', '#browser-check', 20, 'guest.undersigned.example'],
	['older list', tccm, '#browser-check', 20, 'guest.undersigned.example'],
	['another day', '', '#browser-check', 20],
	['another day', `${tccm}?as-of=2024-06-11`, '#browser-check', 20],
	['another text', tccm, '#browser-check', 20],
	['another text', '', '#browser-check', 20],
	['another article', tccm, '#browser-check', 20],
	['another receipt', entry, '#verdict', 20],
	['receipt of another', entry, '#verdict', 20],
	['another organization', 'organization/blacknight.com', '#browser-check', 20],
]

describe('lies', { concurrency: 2 }, () => {
	for (const [lie, path, where, code, about = ''] of lies) {
		test(`${lie}: /${path.replace(/[0-9a-f]{64}/, '…')}`, { timeout }, () => visit({}, async (page) => {
			await page.goto(plan.liars[lie] + path)
			await settled(page)
			const told = await state(page, where)
			assert.deepEqual({ state: told.state, code: told.code }, { state: 'no', code }, told.text)
			assert.match(told.text, /✖/)
			if (about) {
				assert.ok(told.difference.split(' ').includes(about), `it names ${told.difference}`)
				assert.ok(told.text.includes(about), told.text)
			}
			await picture(page, `lie-${lie.replaceAll(' ', '-')}`)
		}))
	}

	for (const [failure, path, where] of [['no tiles', '', '#browser-check'], ['no tiles', tccm, '#browser-check'], ['no checkpoint', '', '#browser-check'], ['no receipt', entry, '#verdict']]) {
		test(`${failure}: /${path.replace(/[0-9a-f]{64}/, '…')}`, { timeout }, () => visit({ expected: [/Failed to load resource/] }, async (page) => {
			await page.goto(plan.liars[failure] + path)
			await settled(page)
			const told = await state(page, where)
			assert.deepEqual({ state: told.state, code: told.code }, { state: 'could-not-check', code: 3 }, told.text)
			assert.doesNotMatch(told.text, /✖/)
			await picture(page, `failure-${failure.replaceAll(' ', '-')}`)
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
