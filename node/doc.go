// Package node assembles one country's node: its data folder, its configuration, its life cycle. It wires the packages below it together and holds
// no workflow of its own.
package node
