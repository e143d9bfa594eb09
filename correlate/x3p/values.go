package x3p

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A value says what is wrong with the text of an element, or nothing.
type value func(text string) (problem string)

// anyText stands for xsd:string, xsd:token and xsd:anyURI: after white space is
// collapsed every text is one.
func anyText(string) string { return "" }

func oneOf(allowed ...string) value {
	return func(text string) string {
		if slices.Contains(allowed, text) {
			return ""
		}
		return fmt.Sprintf("%.40q is none of %s", text, strings.Join(allowed, ", "))
	}
}

var doublePattern = regexp.MustCompile(`^([+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?|-?INF|NaN)$`)

// double is xsd:double, which knows neither hexadecimal nor "inf".
func double(text string) string {
	if doublePattern.MatchString(text) {
		return ""
	}
	return fmt.Sprintf("%.40q is not a number", text)
}

// cosine is an element of a rotation matrix.
func cosine(text string) string {
	if problem := double(text); problem != "" {
		return problem
	}
	if v, err := strconv.ParseFloat(text, 64); err != nil || !(v >= -1 && v <= 1) {
		return fmt.Sprintf("%.40q is not between -1 and 1", text)
	}
	return ""
}

// unsignedLong is xsd:unsignedLong, which may carry a plus sign.
func unsignedLong(text string) string {
	if _, err := strconv.ParseUint(strings.TrimPrefix(text, "+"), 10, 64); err != nil {
		return fmt.Sprintf("%.40q is not a whole number", text)
	}
	return ""
}

// md5Hex is xsd:hexBinary of the 32 digits that the annotation asks for.
func md5Hex(text string) string {
	if b, err := hex.DecodeString(text); err != nil || len(b) != 16 {
		return fmt.Sprintf("%.40q is not an MD5 of 32 hexadecimal digits", text)
	}
	return ""
}

var datumPattern = regexp.MustCompile(`^([+-]?[0-9]*\.?[0-9]+([eE][+-]?[0-9]{1,4})?)?(;[+-]?[0-9]*\.?[0-9]+([eE][+-]?[0-9]{1,4})?)*$`)

// datum is a point of an inline list: numbers with a semicolon between, or nothing.
func datum(text string) string {
	if datumPattern.MatchString(text) {
		return ""
	}
	return fmt.Sprintf("%.40q is no list of numbers", text)
}

var datePattern = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9]|[+-]14:00)?$`)

// dateTime is xsd:dateTime of the years 1 to 9999; its time zone is optional.
func dateTime(text string) string {
	if datePattern.MatchString(text) && !strings.HasPrefix(text, "0000") {
		if _, err := time.Parse("2006-01-02T15:04:05", text[:19]); err == nil {
			return ""
		}
	}
	return fmt.Sprintf("%.40q is not a date and time such as 2024-05-31T13:00:00Z", text)
}
