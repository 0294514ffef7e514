// Package yamltree reads YAML and JSON as Kubernetes does and remembers where
// everything stands.
//
// # Reading
//
// [Source.Split] cuts a file into documents, so that a broken one does not stop
// the others. [Source.Parse] turns a document into a node tree, once. Typed
// objects ([Document.Decode]), untyped trees ([Document.Value]) and positions
// ([Document.Tree]) are all made from those nodes.
//
// Scalars have the types kubectl gives them (YAML 1.1: an unquoted yes is a
// boolean), later keys of a merge win as they do there, and a key given twice
// is an error, as it is for the API server.
//
// # Positions
//
// A [Tree] is a compact skeleton of a document: 28 bytes a node and no pointer
// for the garbage collector to follow. It answers where a field stands, and
// where a new one could be put.
package yamltree
