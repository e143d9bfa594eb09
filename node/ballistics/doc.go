// Package ballistics owns the work of the laboratory: cases, incidents, exhibits and their acquisitions, the correlation of own and foreign
// signatures into ranked candidates, their review by two people, and what grows out of it between two countries: leads and hits. Software makes
// candidates; only people make leads and hits.
package ballistics
