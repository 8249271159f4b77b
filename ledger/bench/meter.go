package bench

import (
	"bytes"
	"os"
	"strconv"
	"time"
)

// tick is the unit of times in /proc, in seconds.
const tick = 0.01

// A meter tells how much of the machine other processes used meanwhile.
type meter struct {
	began time.Time
	ours  []int
	used  float64 // by ours
	busy  float64 // all processors
	all   float64 // and what they were idle
}

// measure begins to measure. What is not used by these processes, those that they have started and waited for, and those in
// the kernel that work for all, is used by others.
func measure(ours ...int) *meter {
	m := &meter{ours: ours}
	m.used, m.busy, m.all = m.read()
	m.began = time.Now()
	return m
}

// joined has a process that was started meanwhile count as ours.
func (m *meter) joined(pid int) { m.ours = append(m.ours, pid) }

// end returns how long it took, and the share of all processors that others had: negative if the system does not tell.
func (m *meter) end() (seconds, others float64) {
	seconds = time.Since(m.began).Seconds()
	used, busy, all := m.read()
	if all <= m.all {
		return seconds, -1
	}
	return seconds, max(0, (busy-m.busy)-(used-m.used)) / (all - m.all)
}

func (m *meter) read() (used, busy, all float64) {
	for _, pid := range m.ours {
		used += cpuOf(pid)
	}
	// cpu user nice system idle iowait irq softirq steal guest guest_nice, where guests' are in user and nice
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, 0
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	for i, f := range bytes.Fields(line) {
		n, err := strconv.ParseFloat(string(f), 64)
		if err != nil || i > 8 {
			continue
		}
		all += n * tick
		if i != 4 && i != 5 {
			busy += n * tick
		}
	}
	return used, busy, all
}

// cpuOf is what a process, with those that it started and waited for, has used of the processors, in seconds; 0 if the system does
// not tell.
func cpuOf(pid int) (seconds float64) {
	if pid == 0 {
		return 0
	}
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	// After the name, which may hold anything: state, and from the 12th on utime stime cutime cstime.
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	for i := 11; i < 15 && i < len(f); i++ {
		n, _ := strconv.ParseFloat(string(f[i]), 64)
		seconds += n * tick
	}
	return seconds
}

// memoryOf is what a process uses of memory, by the name that /proc gives to it, in MiB; 0: the system does not tell.
func memoryOf(pid int, name string) float64 {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(b) {
		if f := bytes.Fields(line); len(f) == 3 && string(f[0]) == name {
			kib, _ := strconv.ParseFloat(string(f[1]), 64)
			return kib / 1024
		}
	}
	return 0
}
