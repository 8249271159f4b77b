// What somebody brings to the first screen, and what the answer to it is: files, texts, sentences, names.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import { describe, test } from 'node:test'
import { accessible, file, fits, narrow, phone, picture, plan, settled, state, visit } from './harness.mjs'

const timeout = 300_000
const { url, statements, entries } = plan.main
const bring = (...names) => (page) => page.locator('#check-file').setInputFiles(names.map(file))
const type = (text) => async (page) => {
	await page.locator('#check-input').fill(text)
	await page.locator('#check-form button[type=submit]').click()
}
const sample = (name) => (page) => page.locator(`[data-sample=${name}]`).click()
const statement = fs.readFileSync(file('statement.txt'), 'utf8')
const sentence = 'This approach enables stakeholders to come together on an equal footing to discuss or make decisions about the Internet'

// Members of this record vouch for each other, and nobody else does: who they are is to be looked at closer.
// What is brought, then the state and the exit code of the answer, what its first sentence says, and the states of the four questions.
const groups = {
	texts: [
		['statement', bring('statement.txt'), 'look-closer', 0, /byte for byte\. 22 organizations stand behind it/, 'look-closer confirmed confirmed look-closer'],
		['altered', bring('altered.txt'), 'no', 10, /4 words differ/, 'look-closer no look-closer look-closer'],
		['look-alike', bring('lookalike.txt'), 'no', 10, /look alike or cannot be seen/, 'look-closer no look-closer look-closer'],
		['spaced', bring('spaced.txt'), 'look-closer', 0, /only spacing/, 'look-closer look-closer confirmed look-closer'],
		['page', bring('page.html'), 'look-closer', 0, /word for word/, 'look-closer look-closer confirmed look-closer'],
		// One text of the record is not kept, so that nothing can be said of it.
		['unrelated', bring('unrelated.txt'), 'could-not-check', 3, /in no endorsed version.* 1 more text could not be read/, 'could-not-check could-not-check could-not-check could-not-check'],
		['pdf', bring('paper.pdf'), 'could-not-check', 3, /PDF.*paste/],
		['nothing', bring('nothing.bin'), 'could-not-check', 3, /cannot be read here/],
		['empty', bring('empty.txt'), 'could-not-check', 3, /nothing in it/],
		['text', type(statement), 'look-closer', 0, /byte for byte/, 'look-closer confirmed confirmed look-closer'],
		['quote', type(sentence), 'look-closer', 0, /This passage is in the statement/, 'look-closer confirmed confirmed look-closer'],
		['quote-altered', type(sentence.replace('equal', 'unequal')), 'no', 10, /not in the statement.* as it stands: 1 word differs\./],
		['marked', bring('marked.txt'), 'look-closer', 0, /word for word/, 'look-closer look-closer confirmed look-closer'],
		['quote-invented', type('The signatories will pay for all of it.'), 'could-not-check', 3, /in no endorsed version/],
	],
	receipts: [
		['receipt', bring('apnic.tlog-proof'), 'look-closer', 0, /APNIC.* endorsed .*/, 'look-closer could-not-check confirmed confirmed'],
		['receipt-text', bring('apnic.tlog-proof', 'statement.txt'), 'look-closer', 0, /endorsed this text on 11 June 2024/, 'look-closer confirmed confirmed confirmed', 'apnic'],
		['receipt-altered', bring('apnic.tlog-proof', 'altered.txt'), 'no', 10, /not this text/, 'look-closer no confirmed confirmed'],
		['receipt-gone', bring('guest.tlog-proof', 'statement.txt'), 'look-closer', 12, /^Withdrawn/, 'look-closer confirmed confirmed look-closer', 'guest'],
		['receipt-withdrawal', bring('withdrawal.tlog-proof', 'statement.txt'), 'look-closer', 12, /withdrew/, undefined, 'withdrawal'],
		['receipt-stolen', bring('stolen.tlog-proof', 'statement.txt'), 'look-closer', 0, /disputed/, 'look-closer confirmed confirmed look-closer', 'stolen'],
		['receipt-broken', bring('broken.tlog-proof'), 'no', 20, /^No\. /],
		['receipt-list', bring('whole.tlog-proof', 'statement.txt'), 'look-closer', 0, /16 organizations, and nobody else/, undefined, 'whole'],
		['receipt-absence', bring('absent.tlog-proof', 'statement.txt'), 'no', 11, /No endorsement .* by absent\.example/, undefined, 'absent'],
		['three-files', bring('apnic.tlog-proof', 'statement.txt', 'altered.txt'), 'could-not-check', 3, /One thing at a time/],
		['two-texts', bring('altered.txt', 'statement.txt'), 'could-not-check', 3, /One thing at a time/],
	],
	names: [
		['domain', type('apnic.net'), 'look-closer', 0, /APNIC.* endorsed/, 'look-closer could-not-check confirmed confirmed'],
		['name', type('Blacknight'), 'look-closer', 0, /Blacknight, blacknight\.com, endorsed/],
		['name-withdrawn', type('guest.undersigned.example'), 'look-closer', 12, /^Withdrawn/],
		['name-idn', type('bücher.example'), 'look-closer', 0, /bücher\.example/],
		['name-stolen', type('stolen.example'), 'look-closer', 0, /disputed/],
		['name-silent', type('absent.example'), 'no', 11, /^No endorsement by absent\.example/],
		['name-stranger', type('stranger.example'), 'no', 11, /^No endorsement by stranger\.example/],
		['name-nonsense', type('zzz'), 'could-not-check', 3, /./],
		['name-many', type('registry'), 'could-not-check', 3, /choose one/],
		['name-chosen', (page) => page.getByRole('button', { name: 'jprs.co.jp' }).click(), 'look-closer', 0, /jprs\.co\.jp, endorsed/],
		['sample-genuine', sample('genuine'), 'look-closer', 0, /endorsed this text/, 'look-closer confirmed confirmed confirmed'],
		['sample-altered', sample('altered'), 'no', 10, /1 word differs and 1 place has characters that look alike/],
		['sample-unsigned', sample('unsigned'), 'no', 11, /^No endorsement by /],
		['fingerprint', type(`sha256:${statements.tccm.hash}`), 'look-closer', 0, /^This is the fingerprint of the statement .* \(English\)\. 22 organizations stand behind it/, 'look-closer confirmed confirmed look-closer'],
		['fingerprint-none', type('0'.repeat(64)), 'no', 11, /has no text with the fingerprint/, 'no no could-not-check could-not-check'],
		['permalink', type(`${url}statement/${statements.tccm.hash}?size=${entries.roll}`), 'look-closer', 0, /^This is the fingerprint of/],
		['link-entry', type(`${url}entry/${entries.apnic}`), 'look-closer', 0, /APNIC.* endorsed/, 'look-closer could-not-check confirmed confirmed'],
		['link-organization', type(`${url}organization/guest.undersigned.example`), 'look-closer', 12, /^Withdrawn/],
		['policy', bring('policy.txt'), 'confirmed', 0, /at least 2 of 3 witnesses/],
		['policy-used', (page) => page.getByRole('button', { name: 'Judge by this policy' }).click(), 'confirmed', 0, /re-checked all \d+ entries/],
		['policy-back', (page) => page.getByRole('button', { name: 'Judge by the earlier policy again' }).click(), 'confirmed', 0, /re-checked all \d+ entries/],
		['archive', bring('archive.zip'), 'confirmed', 0, /re-checked all \d+ entries/],
		['archive-name', type('guest.undersigned.example'), 'look-closer', 12, /^Withdrawn/],
	],
}

describe('answers', { concurrency: 2 }, () => {
	for (const [group, cases] of Object.entries(groups)) {
		test(group, { timeout }, () => visit({}, async (page, requests) => {
			await page.goto(url)
			await settled(page)
			const all = []
			for (const [name, act, want, code, sentence, questions, file] of cases) {
				await page.locator('#answer').evaluate((e) => { e.dataset.state = 'busy' })
				await act(page)
				const a = await state(page, '#answer')
				const said = await page.locator('#answer .said').innerText()
				const found = { name, state: a.state, code: a.code, said: sentence.test(said) ? undefined : said }
				const expected = { name, state: want, code, said: undefined }
				if (name === 'name-nonsense') assert.match(await page.locator('#answer .note').innerText(), /none by this name/)
				if (name === 'archive-name') { // another record than this server's: its sentence does not lead there
					assert.match(await page.locator('#answer').innerText(), /held against the archive that you gave/)
					assert.match(await page.locator('#answer [data-quote]').innerText(), /from a file, \d+ entries\.\)$/)
				}
				if (questions) {
					found.questions = (await page.locator('#answer [data-question]').evaluateAll((all) => all.map((e) => e.dataset.state))).join(' ')
					expected.questions = questions
				}
				all.push([found, expected])
				assert.ok(await page.locator('#answer .said').evaluate((e) => e === document.activeElement), `${name}: the focus is on the answer`)
				// Who asks the program is told the same.
				if (file) {
					assert.equal(a.code, plan.answers[file].code)
					assert.deepEqual(JSON.parse(await page.locator('#answer [data-raw]').textContent()), plan.answers[file].json, name)
				}
				if (['look-alike', 'quote', 'receipt-gone', 'name-many'].includes(name)) await look(page, name)
				else await picture(page, `answer-${name}`)
			}
			assert.deepEqual(all.map(([found]) => found), all.map(([, expected]) => expected))
			// Nothing of it left this computer: all that was asked for is the record, its policy and the page itself.
			const asked = requests.map((r) => new URL(r)).filter((u) => !/^\/(assets|tile|checkpoints?|blobs|policy|api\/v1\/(receipt|checkpoints))\b/.test(u.pathname) && u.href !== url)
			assert.deepEqual(asked.map(String), [])
		}))
	}
})

// An answer on a phone, in the dark, and narrow.
async function look(page, name) {
	await picture(page, `answer-${name}`)
	await accessible(page, `the answer to ${name}, light`)
	const before = page.viewportSize()
	await page.setViewportSize(phone)
	await page.emulateMedia({ colorScheme: 'dark' })
	await picture(page, `answer-${name}-dark`)
	await accessible(page, `the answer to ${name}, dark`, true)
	await page.setViewportSize(narrow)
	await fits(page, `the answer to ${name}`)
	await page.setViewportSize(before)
	await page.emulateMedia({ colorScheme: 'light' })
}
