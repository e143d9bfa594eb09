package demo

import (
	"proofmark/protocol"
)

// cast is a fictitious bureau and its fictitious people: administrator, technician, examiner, second examiner, investigator, NCB operator, auditor.
type cast struct {
	country protocol.Country
	name    string
	agency  string
	people  [7]string
}

// Countries of the demo.
const (
	pt = protocol.Country("PT")
	es = protocol.Country("ES")
	fr = protocol.Country("FR")
)

var countries = []protocol.Country{pt, es, fr}

var casts = []cast{
	{pt, "NCB Lisbon", "Lisbon Serious Crime Unit", [7]string{"Duarte Pinho", "Ines Moreira", "Rui Tavares", "Carla Antunes", "Joao Prates", "Marta Leal", "Teresa Vaz"}},
	{es, "OCN Madrid", "Madrid Serious Crime Unit", [7]string{"Alba Robledo", "Nuria Cano", "Pablo Ferrer", "Lucia Otero", "Mateo Rueda", "Irene Salas", "Hugo Bravo"}},
	{fr, "BCN Paris", "Paris Serious Crime Unit", [7]string{"Luc Garnier", "Claire Marchand", "Hugues Perrin", "Elise Roux", "Karim Benali", "Anne Lacroix", "Jean Colin"}},
}

// event is a fictitious incident at a real place. km is its distance to the nearest border.
type event struct {
	caseRef string
	title   string
	place   string
	offence string
	km      int64
	daysAgo int
}

var events = map[protocol.Country][]event{
	pt: {
		{"LIS-1041/26", "Shots at a petrol station", "Elvas", "armed robbery", 9, 61},
		{"LIS-1077/26", "Shooting outside a bar", "Lisboa, Alcântara", "attempted homicide", 168, 44},
		{"LIS-1102/26", "Van found with cartridge cases", "Vilar Formoso", "arms trafficking", 1, 37},
		{"LIS-1130/26", "Shots into a shop front", "Porto, Campanhã", "extortion", 92, 20},
	},
	es: {
		{"MAD-0388/26", "Shots in a car park", "Badajoz", "attempted homicide", 6, 58},
		{"MAD-0402/26", "Robbery of a transport", "Irún", "armed robbery", 1, 40},
		{"MAD-0433/26", "Shooting in a flat", "Madrid, Vallecas", "homicide", 214, 29},
		{"MAD-0451/26", "Shots from a motorcycle", "Girona", "gang violence", 52, 17},
	},
	fr: {
		{"PAR-2204/26", "Shots at a toll plaza", "Hendaye", "armed robbery", 2, 55},
		{"PAR-2219/26", "Shooting at a garage", "Perpignan", "attempted homicide", 28, 41},
		{"PAR-2240/26", "Cartridge cases at a burnt-out car", "Marseille", "homicide", 141, 26},
		{"PAR-2263/26", "Shots at a door", "Paris, 18e", "intimidation", 187, 12},
	},
}

// The pistol that the story is about: recovered in ES, sold in FR. Its serial number was read with look-alike characters at the recovery.
const (
	recoveryCase  = "MAD-0467/26"
	recoveryRef   = "ES-REC-2026-0117"
	recoveryPlace = "Badajoz, road check on the A-5"
	recoveryDays  = 9
	serialRead    = "3I5-O82B1"
	serialOnFile  = "315-08281"
	saleRecord    = "FR-ARM-2019-55107"
	saleDate      = "2019-05-14"
	calibre       = "9 mm Luger"
)

// caseRefs lists the cases that exhibits are dealt to.
func caseRefs() map[protocol.Country][]string {
	out := map[protocol.Country][]string{}
	for c, list := range events {
		for _, e := range list {
			out[c] = append(out[c], e.caseRef)
		}
	}
	return out
}

// saleRecords is the file that FR imports: fictitious sales, with the pistol among them.
const saleRecords = `reference,status,status_date,kind,action,make,model,calibre,serial,country_of_manufacture,year,chain_manufacturer,chain_importer,chain_wholesaler,chain_retailer,chain_first_purchaser
FR-ARM-2018-41290,registered,2018-11-03,pistol,semi-automatic,Ruger,P95,9 mm Luger,314-55120,US,2018,US 2018-02-19,FR 2018-06-11 Import Atlantique,FR 2018-07-02 Armes du Sud,FR 2018-09-20 Armurerie du Port,FR 2018-11-03 private buyer
FR-ARM-2019-55107,stolen,2025-08-30,pistol,semi-automatic,Ruger,P95,9 mm Luger,315-08281,US,2018,US 2018-10-08,FR 2019-01-15 Import Atlantique,FR 2019-02-04 Armes du Sud,FR 2019-03-12 Armurerie du Canigou,FR 2019-05-14 private buyer
FR-ARM-2019-55342,registered,2019-06-21,pistol,semi-automatic,Ruger,P95,9 mm Luger,315-19906,US,2018,US 2018-10-08,FR 2019-01-15 Import Atlantique,FR 2019-02-04 Armes du Sud,FR 2019-04-30 Armurerie du Canigou,FR 2019-06-21 private buyer
FR-ARM-2020-60018,lost,2023-01-09,revolver,double-action,Manurhin,MR73,.357 Magnum,E40 772,FR,1996,FR 1996-05-20,,,FR 2020-02-01 Armurerie des Halles,FR 2020-02-28 private buyer
FR-ARM-2021-71553,registered,2021-10-12,pistol,semi-automatic,Beretta,92 FS,9 mm Luger,B8Z-6640,IT,2020,IT 2020-12-01,FR 2021-03-03 Import Atlantique,FR 2021-04-14 Armes du Sud,FR 2021-08-19 Armurerie du Port,FR 2021-10-12 private buyer
`
