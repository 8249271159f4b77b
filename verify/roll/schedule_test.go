package roll_test

import (
	"slices"
	"testing"
	"time"

	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// A diary is a record whose entries come at moments of June 2024, written "11 09:30:00.000".
type diary struct {
	*rolltest.Record
	org  *rolltest.Org
	name map[entry.Hash]string
}

const diaryFormat = "2006-01-02 15:04:05.000"

func june(tb testing.TB, at string) time.Time {
	tb.Helper()
	t, err := time.Parse(diaryFormat, "2024-06-"+at)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

// newDiary returns one with a charter and a member, from long before.
func newDiary(tb testing.TB, rule string) *diary {
	d := &diary{Record: rolltest.Empty(tb, rolltest.NewOrg("operator.example", 1, 0, 1)), name: map[entry.Hash]string{}}
	d.Now = june(tb, "01 00:00:00.000")
	c := &entry.Charter{Title: "A record for tests", Operator: d.Operator.Domain, Admission: entry.Admission{Operator: true}, Roll: rule}
	c.PublicKeys = append(c.PublicKeys, d.Operator.Keys[0].Line())
	e := d.Draft(c, d.Operator)
	e.Genesis, e.Previous = true, nil
	d.Must(rolltest.Sign(e))
	d.org = d.Join("apnic.net")
	return d
}

// text returns the fingerprint of a named text.
func (d *diary) text(name string) entry.Hash {
	h := entry.Sum([]byte(name))
	d.name[h] = name
	return h
}

// say has the operator say something about a text, which closes then if that is not "".
func (d *diary) say(at string, action entry.Action, text, closes string) {
	d.TB.Helper()
	d.Now = june(d.TB, at)
	b := &entry.Statement{Action: action, Statement: d.text(text)}
	if action == entry.Publish {
		b.Title, b.Language, b.MediaType, b.Size = text, "en", "text/plain", int64(len(text))
	}
	if closes != "" {
		b.Closes = june(d.TB, closes)
	}
	d.Do(b, d.Operator)
}

func (d *diary) endorse(at, text string) {
	d.TB.Helper()
	d.Now = june(d.TB, at)
	d.Endorse(d.org, d.text(text))
}

func (d *diary) withdraw(at, text string) {
	d.TB.Helper()
	d.Now = june(d.TB, at)
	d.Withdraw(d.org, d.text(text))
}

func (d *diary) seal(at, text, asOf string) {
	d.TB.Helper()
	d.Now = june(d.TB, at)
	b, ok := d.State.Roll(d.text(text), june(d.TB, asOf))
	if !ok {
		d.TB.Fatalf("there is no %s", text)
	}
	d.Must(&entry.Entry{Ledger: d.Origin, Body: b})
}

func TestDue(t *testing.T) {
	type ask struct {
		at    string
		due   []string // texts, each with the moment of its list unless that is now
		again string   // "": never
	}
	none := []string(nil)
	const end = "A 11 23:59:59.999"
	for _, c := range []struct {
		name    string
		rule    string
		history func(d *diary)
		asks    []ask
	}{
		{"manual", "manual", func(d *diary) {
			d.say("11 09:00:00.000", entry.Publish, "A", "")
			d.endorse("11 09:00:01.000", "A")
		}, []ask{{"11 09:00:02.000", none, ""}, {"30 00:00:00.000", none, ""}}},
		{"no statement", "daily 23:59", func(*diary) {}, []ask{{"11 12:00:00.000", none, "12 00:00:00.000"}}},
		{"no statement, on change", "on-change", func(*diary) {}, []ask{{"11 12:00:00.000", none, ""}}},
		{"daily", "daily 23:59", func(d *diary) { d.say("11 09:00:00.000", entry.Publish, "A", "") }, []ask{
			{"11 09:00:00.001", none, "12 00:00:00.000"},
			{"11 23:59:00.000", none, "12 00:00:00.000"},
			{"11 23:59:59.998", none, "12 00:00:00.000"},
			{"11 23:59:59.999", none, "12 00:00:00.000"}, // what is admitted in this millisecond is on the list
			{"12 00:00:00.000", []string{end}, "13 00:00:00.000"},
			{"12 00:00:00.001", []string{end}, "13 00:00:00.000"},
			{"12 23:59:59.999", []string{end}, "13 00:00:00.000"},
		}},
		{"daily at the first minute", "daily 00:00", func(d *diary) { d.say("10 09:00:00.000", entry.Publish, "A", "") }, []ask{
			{"11 00:00:59.999", none, "11 00:01:00.000"},
			{"11 00:01:00.000", []string{"A 11 00:00:59.999"}, "12 00:01:00.000"},
		}},
		{"daily at another minute", "daily 07:05", func(d *diary) { d.say("10 09:00:00.000", entry.Publish, "A", "") }, []ask{
			{"11 07:05:59.999", none, "11 07:06:00.000"},
			{"11 07:06:00.000", []string{"A 11 07:05:59.999"}, "12 07:06:00.000"},
		}},
		{"daily, of days that were missed the last", "daily 23:59", func(d *diary) { d.say("08 09:00:00.000", entry.Publish, "A", "") }, []ask{
			{"12 08:00:00.000", []string{end}, "13 00:00:00.000"},
		}},
		{"daily, sealed", "daily 23:59", func(d *diary) {
			d.say("08 09:00:00.000", entry.Publish, "A", "")
			d.seal("12 00:00:00.000", "A", "11 23:59:59.999")
		}, []ask{
			{"12 00:00:00.000", none, "13 00:00:00.000"},
			{"12 23:59:59.999", none, "13 00:00:00.000"},
			{"13 00:00:00.000", []string{"A 12 23:59:59.999"}, "14 00:00:00.000"},
		}},
		{"daily, sealed a millisecond too early", "daily 23:59", func(d *diary) {
			d.say("08 09:00:00.000", entry.Publish, "A", "")
			d.seal("11 23:59:59.999", "A", "11 23:59:59.998")
		}, []ask{{"12 00:00:00.000", []string{end}, "13 00:00:00.000"}}},
		{"daily, sealed again on demand", "daily 23:59", func(d *diary) {
			d.say("08 09:00:00.000", entry.Publish, "A", "")
			d.seal("12 00:00:05.000", "A", "12 00:00:04.999")
		}, []ask{{"12 00:00:06.000", none, "13 00:00:00.000"}}},
		{"daily, published in the minute's last millisecond", "daily 23:59", func(d *diary) { d.say("11 23:59:59.999", entry.Publish, "A", "") }, []ask{
			{"12 00:00:00.000", []string{end}, "13 00:00:00.000"},
		}},
		{"daily, published after the minute", "daily 23:59", func(d *diary) { d.say("12 00:00:00.000", entry.Publish, "A", "") }, []ask{
			{"12 00:00:00.001", none, "13 00:00:00.000"},
			{"13 00:00:00.000", []string{"A 12 23:59:59.999"}, "14 00:00:00.000"},
		}},
		{"daily, several, in the order of publication", "daily 23:59", func(d *diary) {
			d.say("10 09:00:00.000", entry.Publish, "Z", "")
			d.say("10 09:00:01.000", entry.Publish, "B", "")
			d.say("10 09:00:02.000", entry.Publish, "A", "")
			d.seal("12 00:00:00.000", "B", "11 23:59:59.999")
		}, []ask{{"12 00:00:00.001", []string{"Z 11 23:59:59.999", end}, "13 00:00:00.000"}}},
		{"on change, new", "on-change", func(d *diary) { d.say("11 09:00:00.000", entry.Publish, "A", "") }, []ask{
			{"11 09:00:00.999", none, "11 09:00:01.000"},
			{"11 09:00:01.000", []string{"A"}, ""},
		}},
		{"on change, sealed", "on-change", func(d *diary) {
			d.say("11 09:00:00.000", entry.Publish, "A", "")
			d.seal("11 09:00:01.000", "A", "11 09:00:00.999")
		}, []ask{{"11 09:00:02.000", none, ""}, {"30 00:00:00.000", none, ""}}},
		{"on change, sealed in the millisecond of the change", "on-change", func(d *diary) {
			d.say("11 09:00:00.000", entry.Publish, "A", "")
			d.endorse("11 09:00:01.000", "A")
			d.seal("11 09:00:01.001", "A", "11 09:00:01.000")
		}, []ask{{"11 09:00:05.000", none, ""}}},
		{"on change, sealed a millisecond too early", "on-change", func(d *diary) {
			d.say("11 09:00:00.000", entry.Publish, "A", "")
			d.endorse("11 09:00:01.000", "A")
			d.seal("11 09:00:01.001", "A", "11 09:00:00.999")
		}, []ask{{"11 09:00:01.999", none, "11 09:00:02.000"}, {"11 09:00:02.000", []string{"A"}, ""}}},
		{"on change, quiet", "on-change", func(d *diary) {
			d.say("11 09:00:00.000", entry.Publish, "A", "")
			d.seal("11 09:00:01.000", "A", "11 09:00:00.999")
			d.endorse("11 10:00:00.000", "A")
			d.withdraw("11 10:00:00.500", "A")
		}, []ask{
			// The list before is older than ten seconds already.
			{"11 10:00:00.500", []string{"A"}, ""},
		}},
		{"on change, at most every ten seconds", "on-change", func(d *diary) {
			d.say("11 09:00:00.000", entry.Publish, "A", "")
			d.seal("11 09:59:55.000", "A", "11 09:59:54.999")
			d.endorse("11 10:00:00.000", "A")
			d.withdraw("11 10:00:00.900", "A")
			d.endorse("11 10:00:01.800", "A")
			d.withdraw("11 10:00:02.700", "A")
			d.endorse("11 10:00:03.600", "A")
			d.withdraw("11 10:00:04.500", "A")
		}, []ask{
			{"11 10:00:04.500", none, "11 10:00:04.999"}, // ten seconds after the list, not a second after the change
			{"11 10:00:04.998", none, "11 10:00:04.999"},
			{"11 10:00:04.999", []string{"A"}, ""},
		}},
		{"on change, a second after the last change", "on-change", func(d *diary) {
			d.say("11 09:00:00.000", entry.Publish, "A", "")
			d.seal("11 09:59:59.000", "A", "11 09:59:58.999")
			d.endorse("11 10:00:00.000", "A")
			d.withdraw("11 10:00:00.900", "A")
		}, []ask{
			{"11 10:00:01.899", none, "11 10:00:01.900"},
			{"11 10:00:01.900", []string{"A"}, ""},
		}},
		{"on change, several", "on-change", func(d *diary) {
			d.say("11 09:00:00.000", entry.Publish, "Z", "")
			d.say("11 09:00:00.700", entry.Publish, "A", "")
			d.say("11 09:00:00.800", entry.Publish, "B", "")
		}, []ask{
			{"11 09:00:00.900", none, "11 09:00:01.000"},
			{"11 09:00:01.750", []string{"Z", "A"}, "11 09:00:01.800"},
			{"11 09:00:02.000", []string{"Z", "A", "B"}, ""},
		}},
		{"closes", "manual", func(d *diary) { d.say("11 09:00:00.000", entry.Publish, "A", "11 12:00:00.000") }, []ask{
			{"11 11:59:59.999", none, "11 12:00:00.000"},
			{"11 12:00:00.000", []string{"A 11 11:59:59.999"}, ""},
			{"11 12:00:00.001", []string{"A 11 11:59:59.999"}, ""},
			{"20 12:00:00.000", []string{"A 11 11:59:59.999"}, ""},
		}},
		{"closes, sealed", "manual", func(d *diary) {
			d.say("11 09:00:00.000", entry.Publish, "A", "11 12:00:00.000")
			d.seal("11 12:00:00.000", "A", "11 11:59:59.999")
		}, []ask{{"11 12:00:00.000", none, ""}}},
		{"closes, sealed before the last moment", "manual", func(d *diary) {
			d.say("11 09:00:00.000", entry.Publish, "A", "11 12:00:00.000")
			d.seal("11 11:59:59.999", "A", "11 11:59:59.998")
		}, []ask{{"11 12:00:00.000", []string{"A 11 11:59:59.999"}, ""}}},
		{"closes, closed by an entry before", "manual", func(d *diary) {
			d.say("11 09:00:00.000", entry.Publish, "A", "11 12:00:00.000")
			d.say("11 11:00:00.000", entry.Close, "A", "")
		}, []ask{{"11 12:00:00.000", none, ""}}},
		{"closes, closed before, and reopened", "manual", func(d *diary) {
			d.say("11 09:00:00.000", entry.Publish, "A", "11 12:00:00.000")
			d.say("11 11:00:00.000", entry.Close, "A", "")
			d.say("11 11:30:00.000", entry.Reopen, "A", "11 13:00:00.000")
		}, []ask{
			{"11 12:00:00.000", none, "11 13:00:00.000"},
			{"11 13:00:00.000", []string{"A 11 12:59:59.999"}, ""},
		}},
		{"closes, and reopened for good", "manual", func(d *diary) {
			d.say("11 09:00:00.000", entry.Publish, "A", "11 12:00:00.000")
			d.say("11 11:00:00.000", entry.Close, "A", "")
			d.say("11 11:30:00.000", entry.Reopen, "A", "")
		}, []ask{{"11 12:00:00.000", none, ""}}},
		{"closes, before the daily minute", "daily 23:59", func(d *diary) {
			d.say("11 09:00:00.000", entry.Publish, "A", "11 12:00:00.000")
			d.say("11 09:00:01.000", entry.Publish, "B", "")
		}, []ask{
			{"11 11:59:59.999", none, "11 12:00:00.000"},
			{"11 12:00:00.000", []string{"A 11 11:59:59.999"}, "12 00:00:00.000"},
			{"12 00:00:00.000", []string{"A 11 11:59:59.999", "B 11 23:59:59.999"}, "13 00:00:00.000"},
		}},
		{"closes, on change", "on-change", func(d *diary) {
			d.say("11 11:59:59.500", entry.Publish, "A", "11 12:00:00.000")
		}, []ask{
			{"11 11:59:59.900", none, "11 12:00:00.000"},
			{"11 12:00:00.000", []string{"A 11 11:59:59.999"}, ""},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDiary(t, c.rule)
			c.history(d)
			for _, a := range c.asks {
				due, again := d.State.Due(june(t, a.at))
				var got []string
				for _, x := range due {
					what := d.name[x.Statement]
					if !x.AsOf.IsZero() {
						what += x.AsOf.Format(" 02 15:04:05.000")
					}
					got = append(got, what)
				}
				if !slices.Equal(got, a.due) {
					t.Errorf("at %s: %v is due, want %v", a.at, got, a.due)
				}
				switch {
				case a.again == "" && !again.IsZero():
					t.Errorf("at %s: it is to be asked again at %s, want never", a.at, again.Format(diaryFormat))
				case a.again != "" && !again.Equal(june(t, a.again)):
					t.Errorf("at %s: it is to be asked again at %s, want %s", a.at, again.Format(diaryFormat), a.again)
				}
			}
		})
	}
}

// TestDueEmpty: without a charter nothing is ever due.
func TestDueEmpty(t *testing.T) {
	if due, again := roll.New(rolltest.Origin).Due(rolltest.Start); len(due) > 0 || !again.IsZero() {
		t.Errorf("%v, %v", due, again)
	}
}
