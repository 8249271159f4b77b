// What somebody brings to the first screen, and what the answer to it is: files, texts, sentences, names. The program's own answers
// (plan.answers) are the same where it gives one.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import { describe, test } from 'node:test'
import { accessible, desktop, file, fits, narrow, phone, picture, plan, settled, state, tabThrough, visit } from './harness.mjs'

const timeout = 120_000
const { url } = plan.main
const bring = (...names) => (page) => page.locator('#check-file').setInputFiles(names.map(file))
const type = (text) => async (page) => {
	await page.locator('#check-input').fill(text)
	await page.locator('#check-form button[type=submit]').click()
}
const sample = (name) => (page) => page.locator(`[data-sample=${name}]`).click()
const statement = fs.readFileSync(file('statement.txt'), 'utf8')
const sentence = 'This approach enables stakeholders to come together on an equal footing to discuss or make decisions about the Internet'

// What is brought, then the state and the exit code of the answer, and what it says.
const cases = [
	['statement', bring('statement.txt'), 'confirmed', 0, /./],
	['altered', bring('altered.txt'), 'no', 10, /./],
	['look-alike', bring('lookalike.txt'), 'no', 10, /./],
	['spaced', bring('spaced.txt'), 'look-closer', 0, /./],
	['page', bring('page.html'), 'confirmed', 0, /./],
	['unrelated', bring('unrelated.txt'), 'no', 11, /./],
	['pdf', bring('paper.pdf'), 'could-not-check', 3, /paste/],
	['nothing', bring('nothing.bin'), 'could-not-check', 3, /./],
	['empty', bring('empty.txt'), 'could-not-check', 3, /./],
	['archive', bring('archive.zip'), 'confirmed', 0, /./],
	['policy', bring('policy.txt'), 'confirmed', 0, /./],
	['receipt', bring('apnic.tlog-proof'), 'confirmed', 0, /./],
	['receipt-text', bring('apnic.tlog-proof', 'statement.txt'), 'confirmed', 0, /./],
	['receipt-altered', bring('apnic.tlog-proof', 'altered.txt'), 'no', 10, /./],
	['receipt-gone', bring('guest.tlog-proof'), 'look-closer', 12, /./],
	['receipt-stolen', bring('stolen.tlog-proof'), 'look-closer', 0, /./],
	['receipt-broken', bring('broken.tlog-proof'), 'no', 13, /./],
	['receipt-list', bring('whole.tlog-proof'), 'confirmed', 0, /./],
	['receipt-absence', bring('absent.tlog-proof'), 'no', 11, /./],
	['three-files', bring('apnic.tlog-proof', 'statement.txt', 'altered.txt'), 'could-not-check', 3, /./],
	['two-texts', bring('altered.txt', 'statement.txt'), 'could-not-check', 3, /./],
	['text', type(statement), 'confirmed', 0, /./],
	['quote', type(sentence), 'confirmed', 0, /./],
	['quote-altered', type(sentence.replace('equal', 'unequal')), 'no', 10, /./],
	['quote-invented', type('The signatories will pay for all of it.'), 'no', 11, /./],
	['domain', type('apnic.net'), 'confirmed', 0, /./],
	['name', type('Blacknight'), 'confirmed', 0, /./],
	['name-withdrawn', type('guest.undersigned.example'), 'look-closer', 12, /./],
	['name-idn', type('bücher.example'), 'confirmed', 0, /./],
	['name-stolen', type('stolen.example'), 'look-closer', 0, /./],
	['name-silent', type('absent.example'), 'no', 11, /./],
	['name-stranger', type('stranger.example'), 'no', 11, /./],
	['name-nonsense', type('zzz'), 'no', 11, /./],
	['name-many', type('registry'), 'could-not-check', 3, /./],
	['sample-genuine', sample('genuine'), 'confirmed', 0, /./],
	['sample-altered', sample('altered'), 'no', 10, /./],
	['sample-unsigned', sample('unsigned'), 'no', 11, /./],
]

describe('answers', () => {
	test('all', () => visit({}, async (page) => {
		await page.goto(url)
		await settled(page)
		for (const [name, act, want, code, text] of cases) {
			await page.locator('#answer').evaluate((e) => { e.dataset.state = 'busy' })
			await act(page)
			const a = await state(page, '#answer')
			console.log(name, a.state, a.code, `(${want} ${code})`, a.text.slice(0, 900).replace(/\n+/g, ' | '))
		}
	}))
})
