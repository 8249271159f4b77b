// Every screen of the record of browserStory, by name: its path, and what a person must read on it.
import { plan } from './harness.mjs'

const { statements, entries } = plan.main
const statement = (name) => `statement/${statements[name].hash}`

export const screens = [
	['home', '', statements.tccm.title],
	['statement', statement('tccm'), 'late.example'],
	['as-of', `${statement('tccm')}?as-of=2024-06-11`, '16 '],
	['as-of-guest', `${statement('tccm')}?as-of=2024-07-18`, 'guest.undersigned.example'],
	['superseded', statement('old'), 'newer version'],
	['renditions', statement('new'), 'text/html'],
	['closed', statement('closed'), 'Nobody'],
	['absent', statement('absent'), 'not kept here'],
].map(([name, path, text]) => ({ name, path, text }))
