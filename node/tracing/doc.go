// Package tracing keeps a country's firearm records and carries trace requests between countries.
//
// It owns the serial-number rules, the search ladder, calibre families, the import of records and the life of a trace. It refuses to know
// how a document travels (node/dispatch), who may do what (policy, asked by node/desk), and anything of ballistic images. It proposes
// records for a request and never answers, merges or identifies by itself: a person does.
package tracing
