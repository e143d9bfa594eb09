package tracing

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// makeNames lists names of one and the same make; the first is the make's name (general knowledge).
var makeNames = [][]string{
	{"FN", "Fabrique Nationale", "FN Herstal", "Fabrique Nationale Herstal", "Fabrique Nationale d'Armes de Guerre", "FNH"},
	{"Zastava", "Crvena Zastava", "Zastava Arms", "Zavodi Crvena Zastava", "Zastava Oružje"},
	{"Century", "Century Arms", "Century International Arms", "CAI"},
	{"FÉG", "Fegyver- és Gépgyár", "Femaru", "Frommer"},
	{"Beretta", "Pietro Beretta", "Fabbrica d'Armi Pietro Beretta", "P. Beretta"},
	{"Taurus", "Forjas Taurus", "Taurus International", "Taurus Armas"},
	{"Smith & Wesson", "S&W", "SW", "Smith and Wesson", "Smith Wesson"},
	{"Heckler & Koch", "HK", "H&K", "Heckler und Koch", "Heckler Koch"},
	{"Česká zbrojovka", "CZ", "ČZUB", "CZ-UB", "Česká zbrojovka Uherský Brod", "CZ Brno", "CZ Strakonice"},
	{"SIG Sauer", "SIG", "SIGARMS", "Sig-Sauer", "Swiss Arms"},
	{"Ruger", "Sturm Ruger", "Sturm, Ruger & Co"},
	{"Colt", "Colt's", "Colt's Patent Fire Arms", "Colt's Manufacturing", "Colt Defense"},
	{"Izhmash", "Ижмаш", "Kalashnikov Concern", "Kalashnikov", "Izhevsk", "IZH"},
	{"Baikal", "Байкал", "Izhmekh", "Ижмех", "Izhevsk Mechanical Plant"},
	{"Star", "Star Bonifacio Echeverria", "Bonifacio Echeverria"},
	{"Astra", "Astra Unceta", "Unceta"},
	{"Llama", "Llama Gabilondo", "Gabilondo"},
	{"FB Radom", "Radom", "Fabryka Broni", "Łucznik"},
	{"Norinco", "China North Industries"},
	{"Cugir", "Romarm", "SN Romarm", "Uzinele Mecanice Cugir"},
	{"Arsenal", "Arsenal Kazanlak", "Арсенал"},
	{"Remington", "Remington Arms", "Remington UMC"},
	{"Carl Walther", "Walther", "Carl Walther Waffenfabrik"},
}

// makeFamily is a group of makes that are taken for each other, because they made one design, stand on one firearm in different roles, or
// followed each other in one factory. A make may be in several.
type makeFamily struct {
	name  string
	makes []string
}

// makeFamilies has the domain handbook's typical confusions first; the others are general knowledge.
var makeFamilies = []makeFamily{
	{"Zastava, Yugo and their importers", []string{"Zastava", "Yugo", "Century", "Mitchell Arms", "Interarms"}},
	{"Browning and FN; makers of the Hi-Power", []string{"Browning", "FN", "Inglis", "John Inglis", "FÉG", "FM Argentina", "Fabricaciones Militares"}},
	{"Beretta 92 and its licensed makers", []string{"Beretta", "Taurus", "Girsan", "Helwan"}},
	{"makers of the Colt 1911 design", []string{"Colt", "Remington", "Remington Rand", "Ithaca", "Union Switch & Signal", "Springfield Armory", "Norinco", "Kimber",
		"Armscor", "Rock Island Armory", "Llama", "Star", "Ballester Molina", "Kongsberg", "FM Argentina"}},
	{"Walther PP and PPK makers and importers", []string{"Carl Walther", "Manurhin", "Interarms", "Smith & Wesson", "FÉG"}},
	{"SIG and Sauer", []string{"SIG Sauer", "J. P. Sauer & Sohn", "Sauer & Sohn", "Sauer"}},
	{"Česká zbrojovka and makers of the CZ 75 design", []string{"Česká zbrojovka", "Tanfoglio", "EAA", "Sphinx", "ITM", "Jericho", "IMI", "IWI", "Sarsılmaz", "Norinco"}},
	{"makers of the Kalashnikov design and their importers", []string{"Izhmash", "Tula", "Norinco", "Poly Technologies", "Cugir", "Arsenal", "FB Radom", "Zastava", "FÉG", "Maadi",
		"Century"}},
	{"makers of the Tokarev design", []string{"Tula", "Izhmash", "Norinco", "Cugir", "Zastava", "FÉG", "FB Radom"}},
	{"makers of the Makarov design", []string{"Baikal", "Izhmash", "Simson", "Arsenal", "Norinco"}},
	{"Izhevsk's two factories", []string{"Izhmash", "Baikal"}},
	{"Taurus and Rossi", []string{"Taurus", "Rossi", "Amadeo Rossi"}},
	{"Heckler & Koch and its licensed makers", []string{"Heckler & Koch", "MKE", "POF", "EBO", "Royal Ordnance", "Santa Barbara", "INDEP", "FMP"}},
	{"Atak blank pistols", []string{"Atak Arms", "Atak", "Zoraki"}},
	{"Voltran blank pistols", []string{"Voltran", "Ekol"}},
	{"Carl Walther and Umarex", []string{"Carl Walther", "Umarex"}},
}

// legalForms say how a company is held and nothing about the make.
var legalForms = strings.Fields("GMBH AG KG OHG INC INCORPORATED CORP CORPORATION LTD LIMITED LLC PLC CO COMPANY SPA SRL SA SAS SL NV BV AS SRO DOO AD JSC OAO ZAO OOO RT ZRT")

var (
	makeName   = map[string]string{}   // plain name → plain name of the make
	familiesOf = map[string][]string{} // plain name of a make → its families
)

func init() {
	for _, names := range makeNames {
		for _, n := range names {
			makeName[spellMake(n)] = spellMake(names[0])
		}
	}
	for _, f := range makeFamilies {
		for _, m := range f.makes {
			familiesOf[plainMake(m)] = append(familiesOf[plainMake(m)], f.name)
		}
	}
}

// spellMake writes a make in capitals, without accents, points and legal form: "Fratelli Tanfoglio S.p.A." is "FRATELLI TANFOGLIO".
func spellMake(s string) string {
	var b strings.Builder
	for _, r := range strings.ToUpper(norm.NFKD.String(strings.ToValidUTF8(s, " "))) {
		switch {
		case unicode.Is(unicode.Mn, r), r == '.', r == '\'', r == '’':
		case unicode.IsLetter(r), unicode.IsDigit(r):
			b.WriteRune(r)
		case r == '&':
			b.WriteString(" AND ")
		default:
			b.WriteByte(' ')
		}
	}
	words := strings.Fields(b.String())
	for len(words) > 1 && (slices.Contains(legalForms, words[len(words)-1]) || words[len(words)-1] == "AND") {
		words = words[:len(words)-1]
	}
	return strings.Join(words, " ")
}

func plainMake(s string) string {
	p := spellMake(s)
	if name, ok := makeName[p]; ok {
		return name
	}
	return p
}

// SameMake reports whether two texts name the same make, whatever the spelling. An empty one names none.
func SameMake(a, b string) bool {
	p := plainMake(a)
	return p != "" && p == plainMake(b)
}

// SharedMakeFamily names a family that two different makes are both in, or returns "".
func SharedMakeFamily(a, b string) string {
	fa, fb := familiesOf[plainMake(a)], familiesOf[plainMake(b)]
	for _, f := range fa {
		if slices.Contains(fb, f) {
			return f
		}
	}
	return ""
}
