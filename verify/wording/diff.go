package wording

import "math"

// A span is a piece of one sequence, and of another, that take each other's place.
type span struct {
	a0, a1, b0, b1 int
	same           bool // element by element
}

// maxSteps bounds the work of one comparison: steps along diagonals. It is a fraction of a second.
const maxSteps = 1 << 25

// A differ finds a shortest way from one sequence to another, after E. Myers, "An O(ND) Difference Algorithm and Its Variations"
// (1986), section 4b: its memory is linear. Once its steps are used up, what is left between two points is one span.
type differ struct {
	a, b    []int32
	depth   int // the most that steps suffice for
	forward []int
	back    []int
	steps   int
	spans   []span
	coarse  bool // the steps were used up
}

// diff returns spans that cover a and b, in order; no two with the same answer follow each other. coarse: a shortest way was not found.
func diff(a, b []int32, steps int) (spans []span, coarse bool) {
	// A depth of d takes d² steps and more.
	depth := min((len(a)+len(b)+1)/2, int(math.Sqrt(float64(max(steps, 0))))+1)
	d := &differ{a: a, b: b, depth: depth, forward: make([]int, 2*depth+3), back: make([]int, 2*depth+3), steps: steps}
	d.box(0, len(a), 0, len(b))
	return d.spans, d.coarse
}

// add appends a span; spans of a kind that touch are one.
func (d *differ) add(s span) {
	if s.a0 == s.a1 && s.b0 == s.b1 {
		return
	}
	if n := len(d.spans); n > 0 && d.spans[n-1].same == s.same {
		d.spans[n-1].a1, d.spans[n-1].b1 = s.a1, s.b1
		return
	}
	d.spans = append(d.spans, s)
}

func (d *differ) box(a0, a1, b0, b1 int) {
	i := 0
	for a0+i < a1 && b0+i < b1 && d.a[a0+i] == d.b[b0+i] {
		i++
	}
	d.add(span{a0, a0 + i, b0, b0 + i, true})
	a0, b0 = a0+i, b0+i
	j := 0
	for a0 < a1-j && b0 < b1-j && d.a[a1-j-1] == d.b[b1-j-1] {
		j++
	}
	a1, b1 = a1-j, b1-j
	if a0 == a1 || b0 == b1 {
		d.add(span{a0, a1, b0, b1, false})
	} else if x0, y0, x1, y1, ok := d.snake(a0, a1, b0, b1); ok {
		d.box(a0, x0, b0, y0)
		d.add(span{x0, x1, y0, y1, true})
		d.box(x1, a1, y1, b1)
	} else {
		d.coarse = true
		d.add(span{a0, a1, b0, b1, false})
	}
	d.add(span{a1, a1 + j, b1, b1 + j, true})
}

// snake returns the ends of a run in the middle of a shortest way through a box, both of whose sides are longer than nothing and which
// begins and ends with a difference. The run may be empty. ok is false once the steps are used up.
func (d *differ) snake(a0, a1, b0, b1 int) (x0, y0, x1, y1 int, ok bool) {
	n, m := a1-a0, b1-b0
	delta := n - m
	offset := d.depth + 1
	forward, back := d.forward, d.back
	forward[offset+1], back[offset+1] = 0, 0
	for depth := 0; depth <= min((n+m+1)/2, d.depth); depth++ {
		// Diagonals that lie outside the box lead nowhere.
		for k := -depth + 2*max(0, depth-m); k <= depth-2*max(0, depth-n); k += 2 {
			var x int
			if k == -depth || k != depth && forward[offset+k-1] < forward[offset+k+1] {
				x = forward[offset+k+1]
			} else {
				x = forward[offset+k-1] + 1
			}
			y := x - k
			fromX, fromY := x, y
			for x < n && y < m && d.a[a0+x] == d.b[b0+y] {
				x++
				y++
			}
			forward[offset+k] = x
			if d.steps -= 1 + x - fromX; d.steps < 0 {
				return 0, 0, 0, 0, false
			}
			if c := delta - k; delta%2 != 0 && -depth < c && c < depth && x+back[offset+c] >= n {
				return a0 + fromX, b0 + fromY, a0 + x, b0 + y, true
			}
		}
		for k := -depth + 2*max(0, depth-m); k <= depth-2*max(0, depth-n); k += 2 {
			var x int
			if k == -depth || k != depth && back[offset+k-1] < back[offset+k+1] {
				x = back[offset+k+1]
			} else {
				x = back[offset+k-1] + 1
			}
			y := x - k
			fromX, fromY := x, y
			for x < n && y < m && d.a[a1-x-1] == d.b[b1-y-1] {
				x++
				y++
			}
			back[offset+k] = x
			if d.steps -= 1 + x - fromX; d.steps < 0 {
				return 0, 0, 0, 0, false
			}
			if c := delta - k; delta%2 == 0 && -depth <= c && c <= depth && x+forward[offset+c] >= n {
				return a1 - x, b1 - y, a1 - fromX, b1 - fromY, true
			}
		}
	}
	return 0, 0, 0, 0, false
}
