// Package proof owns what a country hands out of its audit log so that others can check it without its node: the proof of one entry, the signed
// statement of what was exchanged with one other country, and the report on a period. It makes and checks them from bytes; it knows neither network
// nor database, and no roster but the one it is given.
package proof
