package policy

import (
	"fmt"
	"unicode/utf8"
)

// Limits on foreign policy files. The Cedar parser and type checker recurse on
// what they read, so depth and length are bounded before they see a byte.
const (
	maxFiles        = 256       // files of one folder
	maxFileBytes    = 128 << 10 // one file
	maxFolderBytes  = 512 << 10 // all files of one folder; bounds the time of checking, which is longest for records in long lists
	maxPolicies     = 2000      // all policies of one folder
	maxPolicyTokens = 4000      // one policy; a list of 249 countries takes 1,271
	maxDepth        = 32        // brackets within brackets
	maxUnary        = 8         // consecutive ! and -
	maxPath         = 16        // dots of one path a.b.c; the parser's tree of `has a.b.c` grows with its square
	maxOperators    = 600       // signs & | + - * . ! and words else, has of one policy: each may deepen its tree by one
)

// Problem is one thing wrong with a policy file.
type Problem struct {
	File    string
	Line    int // starting at 1
	Message string
}

func (p *Problem) Error() string { return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Message) }

// statement is the text of one policy, from its first annotation to its semicolon.
type statement struct {
	text string
	line int // of its first character, starting at 1
}

// split cuts a file into its policies without understanding them, and refuses
// what is too long or too deep for a recursive parser. Comments and strings are
// read as the Cedar scanner reads them.
func split(file string, text []byte) ([]statement, *Problem) {
	s := splitter{file: file, text: text, line: 1, start: -1}
	if problem := s.plainText(); problem != nil {
		return nil, problem
	}
	for s.at < len(s.text) {
		if problem := s.step(); problem != nil {
			return nil, problem
		}
	}
	if s.start >= 0 {
		return nil, s.problem(s.startLine, "this policy never ends; a policy ends with a semicolon, perhaps the file is cut off")
	}
	return s.out, nil
}

type splitter struct {
	file string
	text []byte
	at   int
	line int

	start, startLine         int // of the current policy; start < 0 between policies
	tokens, unary, operators int
	depth, path              int
	afterWord                bool // the token before this one is a word

	out []statement
}

func (s *splitter) problem(line int, format string, args ...any) *Problem {
	return &Problem{File: s.file, Line: line, Message: fmt.Sprintf(format, args...)}
}

// plainText refuses what is not text, in the line where it stands.
func (s *splitter) plainText() *Problem {
	line := 1
	for rest := s.text; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		switch {
		case r == utf8.RuneError && size == 1:
			return s.problem(line, "not a Cedar policy: not UTF-8 text")
		case r == 0:
			return s.problem(line, "not a Cedar policy: a NUL character")
		case r == '\n':
			line++
		}
		rest = rest[size:]
	}
	return nil
}

// step reads one token, comment or white space.
func (s *splitter) step() *Problem {
	c := s.text[s.at]
	switch {
	case c == '\n':
		s.line++
		s.at++
		return nil
	case c == ' ' || c == '\t' || c == '\r':
		s.at++
		return nil
	case c == '/' && s.next() == '/':
		for s.at < len(s.text) && s.text[s.at] != '\n' {
			s.at++
		}
		return nil
	case c == '/' && s.next() == '*':
		return s.comment()
	}
	if s.start < 0 {
		s.start, s.startLine = s.at, s.line
		s.tokens, s.operators, s.unary, s.depth, s.path, s.afterWord = 0, 0, 0, 0, 0, false
	}
	if s.tokens++; s.tokens > maxPolicyTokens {
		return s.problem(s.line, "the policy that starts in line %d is longer than %d words and signs; split it", s.startLine, maxPolicyTokens)
	}
	switch {
	case c == '"':
		s.unary, s.path, s.afterWord = 0, 0, false
		return s.literal()
	case isWord(c):
		if s.afterWord {
			s.path = 0
		}
		s.unary, s.afterWord = 0, true
		s.word()
	default:
		s.afterWord = false
		return s.sign(c)
	}
	if s.operators > maxOperators {
		return s.tooMany()
	}
	return nil
}

func (s *splitter) next() byte {
	if s.at+1 < len(s.text) {
		return s.text[s.at+1]
	}
	return 0
}

func (s *splitter) comment() *Problem {
	from := s.line
	for s.at += 2; s.at < len(s.text); s.at++ {
		switch {
		case s.text[s.at] == '\n':
			s.line++
		case s.text[s.at] == '*' && s.next() == '/':
			s.at += 2
			return nil
		}
	}
	return s.problem(from, "a comment that starts with /* never ends")
}

func (s *splitter) literal() *Problem {
	for s.at++; s.at < len(s.text); s.at++ {
		switch s.text[s.at] {
		case '\n':
			return s.problem(s.line, "a text in quotation marks does not end in its line")
		case '\\':
			if s.next() != '\n' {
				s.at++
			}
		case '"':
			s.at++
			return nil
		}
	}
	return s.problem(s.line, "a text in quotation marks never ends; perhaps the file is cut off")
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

func (s *splitter) word() {
	from := s.at
	for s.at < len(s.text) && isWord(s.text[s.at]) {
		s.at++
	}
	if string(s.text[from:s.at]) == "else" || string(s.text[from:s.at]) == "has" {
		s.operators++
	}
}

func (s *splitter) sign(c byte) *Problem {
	s.at++
	switch c {
	case '(', '[', '{':
		if s.depth++; s.depth > maxDepth {
			return s.problem(s.line, "brackets within brackets more than %d deep", maxDepth)
		}
	case ')', ']', '}':
		s.depth--
	case '&', '|', '+', '*', '.', '-', '!':
		s.operators++
	case ';':
		s.out = append(s.out, statement{text: string(s.text[s.start:s.at]), line: s.startLine})
		s.start = -1
		return nil
	}
	if c == '!' || c == '-' {
		if s.unary++; s.unary > maxUnary {
			return s.problem(s.line, "more than %d signs ! or - in a row", maxUnary)
		}
	} else {
		s.unary = 0
	}
	if c != '.' {
		s.path = 0
	} else if s.path++; s.path > maxPath {
		return s.problem(s.line, "a path with more than %d dots", maxPath)
	}
	if s.operators > maxOperators {
		return s.tooMany()
	}
	return nil
}

func (s *splitter) tooMany() *Problem {
	return s.problem(s.line, "the policy that starts in line %d has more than %d signs and words that join conditions; split it", s.startLine, maxOperators)
}
