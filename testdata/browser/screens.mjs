// Every screen of the record of browserStory, by name: its path, and what a person must read on it. Those that are whole are looked at
// in every way; the others are further cases of the same screens.
import { plan } from './harness.mjs'

const { statements, entries } = plan.main
const statement = (name) => `statement/${statements[name].hash}`

export const screens = [
	['home', '', statements.tccm.title, true],
	['statement', statement('tccm'), 'late.example', true],
	['as-of', `${statement('tccm')}?as-of=2024-06-11`, '11 June 2024', true],
	['as-of-guest', `${statement('tccm')}?as-of=2024-07-18`, 'guest.undersigned.example'],
	['size', `${statement('tccm')}?size=${entries.roll}`, String(entries.roll)],
	['superseded', statement('old'), 'second version'],
	['renditions', statement('new'), 'German, plain text', true],
	['closed', statement('closed'), 'Too late'],
	['absent', statement('absent'), 'not kept here'],
	['organization', 'organization/apnic.net', 'Asia Pacific Network Information Centre', true],
	['organization-guest', 'organization/guest.undersigned.example', 'Example Guest', true],
	['organization-idn', 'organization/xn--bcher-kva.example', 'bücher.example'],
	['organization-rtl', 'organization/rtl.example', 'جمعية'],
	['organization-long', 'organization/a-very-long-label-that-nobody-would-type-but-that-is-admissible.xn--80ak6aa92e.example', 'Donaudampfschifffahrt'],
	['organization-stolen', 'organization/stolen.example', 'Stolen Example'],
	['organization-rotated', 'organization/rotated.example', 'Rotated Example'],
	['organization-silent', 'organization/absent.example', 'Absent Example'],
	['organization-stranger', 'organization/stranger.example', 'stranger.example', true],
	['entry', `entry/${entries.apnic}`, 'apnic.net', true],
	['entry-guest', `entry/${entries.guest}`, 'guest.undersigned.example'],
	['entry-withdrawal', `entry/${entries.withdrawal}`, 'guest.undersigned.example', true],
	['entry-stolen', `entry/${entries.stolen}`, 'stolen.example'],
	['entry-statement', `entry/${entries.publish}`, 'Principles'],
	['entry-rotate', `entry/${entries.rotate}`, 'rotated.example'],
	['entry-revoke', `entry/${entries.revoke}`, 'stolen.example'],
	['entry-roll', `entry/${entries.roll}`, 'undersigned/roll/v1', true],
	['entry-charter', 'entry/0', 'undersigned/charter/v1'],
	['entry-membership', 'entry/1', 'undersigned/membership/v1'],
	['record', 'record', 'north.example', true],
	['search', 'search?q=registry', 'Late Example Registry', true],
	['search-nothing', 'search?q=nobody+at+all', 'nobody at all'],
	['search-absent', 'search?q=stranger.example', 'stranger.example'],
	['not-found', 'organization/nobody..example', '404', true],
].map(([name, path, text, whole = false]) => ({ name, path, text, whole }))
