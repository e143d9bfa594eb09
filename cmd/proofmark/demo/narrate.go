package demo

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode/utf8"
)

// textWidth is how wide the story is told, in characters.
const textWidth = 108

// narrator tells what happens. Its methods may be called from any goroutine.
type narrator struct {
	mu       sync.Mutex
	w        io.Writer
	terminal bool
	bar      bool // a progress bar stands on the last line
	quarter  int  // last quarter told of a progress without a terminal
}

func (n *narrator) print(s string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.endBar()
	fmt.Fprint(n.w, s)
}

// endBar leaves the line of a progress bar; the caller holds mu.
func (n *narrator) endBar() {
	if n.bar {
		fmt.Fprint(n.w, "\r\x1b[K")
		n.bar = false
	}
}

func (n *narrator) title(number, of int, text string) {
	n.print(fmt.Sprintf("\n[%d/%d] %s\n", number, of, text))
}

// say tells what happened.
func (n *narrator) say(format string, args ...any) {
	n.print(wrap(fmt.Sprintf(format, args...), "   • ", "     ", textWidth))
}

// shown tells of something that was verified.
func (n *narrator) shown(format string, args ...any) {
	n.print(wrap(fmt.Sprintf(format, args...), "   ✓ ", "     ", textWidth))
}

// quote tells somebody's words.
func (n *narrator) quote(text string) { n.print(wrap(text, "       “", "        ", textWidth)) }

// row prints a line of a table or a command as it is.
func (n *narrator) row(format string, args ...any) {
	n.print("       " + fmt.Sprintf(format, args...) + "\n")
}

// readers are the four kinds of users, in the order of scene.why.
var readers = [4]string{"NCB operator", "laboratory", "investigator", "auditor"}

func (n *narrator) why(lines [4]string) {
	var b strings.Builder
	b.WriteString("   Why it matters\n")
	for i, l := range lines {
		first := fmt.Sprintf("     %-13s ", readers[i])
		b.WriteString(wrap(l, first, strings.Repeat(" ", utf8.RuneCountInString(first)), textWidth))
	}
	n.print(b.String())
}

// progress shows how far something is: a bar on a terminal, otherwise a line for each quarter.
func (n *narrator) progress(label string, done, total int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.terminal {
		fmt.Fprintf(n.w, "\r\x1b[K     %s %s", bar(done, total, 30), label)
		n.bar = true
		if done == total {
			n.endBar()
		}
		return
	}
	if q := quarter(done, total); q != n.quarter {
		n.quarter = q % 4
		fmt.Fprintf(n.w, "     %s: %d of %d\n", label, done, total)
	}
}

// quarter is how many quarters of the whole are done.
func quarter(done, total int) int {
	if total == 0 {
		return 4
	}
	return 4 * done / total
}

// bar draws done of total in width characters.
func bar(done, total, width int) string {
	full := width
	if total > 0 {
		full = min(max(width*done/total, 0), width)
	}
	return fmt.Sprintf("[%s%s] %d/%d", strings.Repeat("█", full), strings.Repeat("·", width-full), done, total)
}

// wrap breaks a text at blanks into lines of at most width characters, a longer word apart; first and rest stand before the lines.
func wrap(text, first, rest string, width int) string {
	var b strings.Builder
	line, room := first, width-utf8.RuneCountInString(first)
	empty := true
	for _, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		if !empty && n+1 > room {
			b.WriteString(line + "\n")
			line, room, empty = rest, width-utf8.RuneCountInString(rest), true
		}
		if !empty {
			line += " "
			room--
		}
		line += word
		room -= n
		empty = false
	}
	return b.String() + line + "\n"
}
