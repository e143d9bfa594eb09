package tracing

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"proofmark/protocol"
)

// families lists designations of one and the same cartridge; the first is the family's name. The handgun entries of the domain handbook
// come first. Shotgun gauges are curated: one family whatever the chamber's length. The others follow the designations of the C.I.P. tables (TDCC) and of SAAMI with the names that trade, armies and police
// use beside them (general knowledge, no table at hand).
var families = [][]string{
	{"9x19", "9 mm Luger", "9 mm Parabellum", "9 mm Para", "9 mm NATO", "9x19 Parabellum", "9x19 Luger", "9x19 NATO", "9P", "9 mm P08"},
	{".45 ACP", ".45 Auto", "11.43x23", "11.25 mm Norwegian", ".45 Automatic"},
	{"7.65 Browning", ".32 ACP", ".32 Auto", "7.65x17", "7.65x17 SR", "7.65 mm Auto", ".32 Automatic"},
	{"6.35 Browning", ".25 ACP", ".25 Auto", "6.35x16", "6.35x16 SR", "6.35", "6.35 mm Auto", ".25 Automatic"},
	{"9x17", ".380 ACP", ".380 Auto", "9 mm Kurz", "9 mm Browning Court", "9 mm Browning Short", "9 mm Short", "9 mm Corto", "9 mm Court",
		"9 mm Browning", ".380 Automatic"},
	{"9x18 Makarov", "9 mm Makarov", "9x18", "9x18 PM", "9.2x18"},

	{"9x18 Ultra", "9 mm Ultra", "9 mm Police", "9 mm Geco"},
	{"9x20 SR", "9 mm Browning Long", "9x20 Browning Long"},
	{"9x21", "9x21 IMI", "9 mm IMI"},
	{"9x23 Largo", "9 mm Largo", "9 mm Bergmann-Bayard", "9 mm Bayard", "9x23 Bergmann"},
	{"9x23 Steyr", "9 mm Steyr"},
	{"9x23 Winchester"},
	{"7.65 Parabellum", "7.65x21", "7.65 Luger", ".30 Luger", "7.65x21 Parabellum", "7.65x22"},
	{"7.62x25 Tokarev", "7.62x25", "7.62 Tokarev", "7.62 TT"},
	{"7.63 Mauser", "7.63x25", "7.63x25 Mauser", ".30 Mauser"},
	{"7.62x38R Nagant", "7.62x38R", "7.62 Nagant"},
	{"5.45x18", "5.45x18 PSM"},
	{"5.7x28", "5.7x28 FN", "FN 5.7"},
	{"4.6x30", "4.6x30 HK"},
	{".38 Super", ".38 Super Auto", ".38 Super Automatic", "9x23 SR"},
	{".38 ACP", ".38 Auto", ".38 Automatic"},
	{".38 Special", ".38 Spl", ".38 S&W Special", "9x29R", "9x29.5R", ".38 SPC"},
	{".357 Magnum", ".357 Mag", ".357 Rem Mag", ".357 Remington Magnum", "9x33R"},
	{".38 S&W", ".38 Smith & Wesson", "38/200", ".380/200", ".38 Colt New Police", "9x20R"},
	{".32 S&W Long", ".32 Smith & Wesson Long", ".32 Colt New Police", "7.65 S&W Long"},
	{".32 S&W", ".32 Smith & Wesson", ".32 S&W Short"},
	{".320 Revolver", ".320"},
	{".357 SIG", "9x22 SIG"},
	{".40 S&W", ".40 Smith & Wesson", "10x22", ".40 SW"},
	{"10 mm Auto", "10x25", "10 mm Automatic"},
	{".44 Magnum", ".44 Mag", ".44 Rem Mag", ".44 Remington Magnum", "10.9x33R"},
	{".44 Special", ".44 Spl", ".44 S&W Special"},
	{".45 Colt", ".45 Long Colt", ".45 LC"},
	{".45 GAP", ".45 Glock"},
	{".455 Webley", ".455 Mk II"},
	{".50 AE", ".50 Action Express", "12.7x33"},

	{".22 LR", ".22 Long Rifle", "5.6x15R", ".22 lfB", ".22 l.r."},
	{".22 Short", ".22 kurz", ".22 corto"},
	{".22 WMR", ".22 Magnum", ".22 Winchester Magnum Rimfire", ".22 Win Mag"},

	{"5.56x45", "5.56 NATO", "5.56x45 NATO", "5.56"},
	{".223 Rem", ".223 Remington", ".223"},
	{"7.62x51", "7.62 NATO", "7.62x51 NATO"},
	{".308 Win", ".308 Winchester", ".308"},
	{"7.62x39", "7.62x39 Soviet", "7.62x39 M43", "7.62x39 Kalashnikov", "7.62 M43"},
	{"5.45x39", "5.45x39 Soviet", "5.45"},
	{"7.62x54R", "7.62x54 R", "7.62x53R Russian", "7.62 Russian", "7.62 Mosin-Nagant"},
	{".30 Carbine", ".30 M1 Carbine", "7.62x33"},
	{".30-06", ".30-06 Springfield", "7.62x63"},
	{".303 British", ".303", "7.7x56R"},
	{"8x57 IS", "7.92x57", "8 mm Mauser", "7.92 Mauser", "8x57 JS"},
	{"7.92x33", "7.92 Kurz", "8x33"},
	{"7x57", "7 mm Mauser", ".275 Rigby", "7x57 Mauser"},
	{"6.5x55", "6.5x55 Swedish", "6.5x55 SE", "6.5 Swedish Mauser"},
	{"7.5x55", "7.5x55 Swiss", "GP11", "7.5 Schmidt-Rubin"},
	{"300 Blackout", ".300 AAC Blackout", ".300 BLK", "7.62x35"},
	{".50 BMG", "12.7x99", "12.7x99 NATO", ".50 Browning"},
	{"12.7x108"},
	{"14.5x114"},

	{"12 gauge", "12 ga", "12 bore", "12/65", "12/67.5", "12/70", "12/76", "12/89"},
	{"16 gauge", "16 ga", "16 bore", "16/65", "16/67.5", "16/70"},
	{"20 gauge", "20 ga", "20 bore", "20/65", "20/67.5", "20/70", "20/76"},
	{".410", ".410 bore", ".410 gauge", "36 gauge", ".410/76"},

	{"9 mm P.A.K.", "9 mm PAK", "9 mm PA Knall", "9 mm PA blank", "9x22 PAK"},
	{"8 mm K", "8 mm Knall", "8x20 blank", "8 mm blank"},
}

// closePairs lists families whose cartridges differ and yet fit, feed or fire in one another's chambers, or are taken for one another. They
// are for a person's attention and never drive a filter. The first two are the domain handbook's; the others are general knowledge
// (chambering of a shorter cartridge in a longer chamber; same case, other pressure).
var closePairs = [][2]string{
	{"5.56x45", ".223 Rem"},
	{"7.62x51", ".308 Win"},
	{".38 Special", ".357 Magnum"},
	{".44 Special", ".44 Magnum"},
	{".38 ACP", ".38 Super"},
	{"7.62x25 Tokarev", "7.63 Mauser"},
	{"9x19", "9x21"},
	{"9x18 Makarov", "9x18 Ultra"},
	{"9x17", "9x18 Makarov"},
	{"9x17", "9x18 Ultra"},
	{"9x23 Largo", "9x23 Steyr"},
	{"9x23 Largo", ".38 ACP"},
	{".32 S&W", ".32 S&W Long"},
	{"7.65 Browning", ".32 S&W Long"},
	{".40 S&W", "10 mm Auto"},
	{".22 Short", ".22 LR"},
	{"9 mm P.A.K.", "9x17"}, // blank pistols of this calibre are converted to it
}

// bare lists what people write when they name a bore and no cartridge. Such a calibre excludes no family of its bore: a registry that says
// "9 mm" must not hide a pistol in 9x19. (United States police code lists name the same bores as covering several cartridges.)
var bare = map[string][]string{
	"9":    {"9x19", "9x17", "9x18 Makarov", "9x18 Ultra", "9x20 SR", "9x21", "9x23 Largo", "9x23 Steyr", "9x23 Winchester", "9 mm P.A.K."},
	"7.65": {"7.65 Browning", "7.65 Parabellum", ".32 S&W Long"},
	"7.62": {"7.62x25 Tokarev", "7.62x38R Nagant", "7.62x51", ".308 Win", "7.62x39", "7.62x54R", ".30 Carbine", ".30-06", "300 Blackout"},
	"7.63": {"7.63 Mauser", "7.62x25 Tokarev"},
	".22":  {".22 LR", ".22 Short", ".22 WMR"},
	".25":  {"6.35 Browning"},
	".30":  {".30 Carbine", ".30-06", "7.65 Parabellum", "7.63 Mauser"},
	".32":  {"7.65 Browning", ".32 S&W", ".32 S&W Long", ".320 Revolver"},
	".357": {".357 Magnum", ".357 SIG"},
	".38":  {".38 Special", ".38 S&W", ".38 Super", ".38 ACP", ".357 Magnum"},
	".380": {"9x17", ".38 S&W"},
	".40":  {".40 S&W", "10 mm Auto"},
	"10":   {"10 mm Auto", ".40 S&W"},
	".44":  {".44 Magnum", ".44 Special"},
	".45":  {".45 ACP", ".45 Colt", ".45 GAP"},
	".50":  {".50 AE", ".50 BMG"},
	"12.7": {".50 BMG", "12.7x108", ".50 AE"},
	"12":   {"12 gauge"},
	"16":   {"16 gauge"},
	"20":   {"20 gauge"},
	"8":    {"8x57 IS", "7.92x33", "8 mm K"},
}

var (
	familyOf  = map[string]string{}   // designation in plain form → family
	bareOf    = map[string][]string{} // bore in plain form → the families it may mean
	closeness = map[[2]string]bool{}
)

func init() {
	for _, f := range families {
		for _, name := range f {
			familyOf[plain(name)] = f[0]
		}
	}
	for bore, names := range bare {
		bareOf[plain(bore)] = names
	}
	for _, p := range closePairs {
		closeness[p] = true
		closeness[[2]string{p[1], p[0]}] = true
	}
}

// spellings are what people write differently in a designation and mean the same by; the rest is dropped by plain.
var spellings = strings.NewReplacer("×", "x", "х", "x", "*", "x", ",", ".", "calibre", "", "caliber", "", "cal.", "", "millimetre", "", "mm", "",
	"smith & wesson", "s&w", "smith&wesson", "s&w", "smith and wesson", "s&w", "magnum", "mag")

// plain writes a designation without case, spaces, hyphens, "mm" and "cal.", with x for the sign of multiplication and a point before
// digits only: ".45 A.C.P." is ".45acp".
func plain(calibre string) string {
	s := spellings.Replace(strings.ToLower(norm.NFKC.String(calibre)))
	var b strings.Builder
	for i, r := range s {
		digitNext := i+1 < len(s) && s[i+1] >= '0' && s[i+1] <= '9'
		if unicode.IsLetter(r) || unicode.IsDigit(r) || r == '&' || r == '/' || r == '.' && digitNext {
			b.WriteRune(r)
		}
	}
	s = b.String()
	if strings.HasPrefix(s, "0.") {
		s = s[1:]
	}
	return s
}

// Family names the family of identical cartridges that a calibre belongs to: "9 mm Luger" and "9x19 Parabellum" are both "9x19". A calibre
// that is in no family is its own, in small letters without spaces; an unknown one is "", which never excludes.
func Family(calibre string) string {
	p := plain(calibre)
	if p == "" || p == protocol.Unknown {
		return ""
	}
	for _, name := range []string{p, "." + p} { // "45 ACP" is written as often as ".45 ACP"
		if f, ok := familyOf[name]; ok {
			return f
		}
		if bareOf[name] != nil {
			return name
		}
	}
	return p
}

// Identical reports whether two calibres name the same cartridge. An unknown one is identical to nothing.
func Identical(a, b string) bool {
	f := Family(a)
	return f != "" && f == Family(b)
}

// DimensionallyClose reports whether two calibres are different cartridges that fit one another's chambers or are often taken for one
// another. It is a remark for a person, not a filter.
func DimensionallyClose(a, b string) bool {
	return closeness[[2]string{Family(a), Family(b)}]
}

// Excludes reports whether two calibres rule each other out: both are known and they can not be the same cartridge. A bare bore such as
// "9 mm" rules out only cartridges of other bores.
func Excludes(a, b string) bool {
	fa, fb := Family(a), Family(b)
	if fa == "" || fb == "" || fa == fb {
		return false
	}
	ma, mb := meanings(fa), meanings(fb)
	return !slices.ContainsFunc(ma, func(f string) bool { return slices.Contains(mb, f) })
}

// Bare reports whether a calibre names no more than a bore, such as "9 mm": it may stand for several families, and only Excludes can judge it.
func Bare(calibre string) bool { return bareOf[Family(calibre)] != nil }

// meanings lists the families that a family's name may stand for: itself, and more for a bare bore.
func meanings(family string) []string {
	return append([]string{family}, bareOf[family]...)
}
