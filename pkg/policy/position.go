package policy

import "k8s.io/apimachinery/pkg/util/validation/field"

// Region is a stretch of a source file. Lines and columns count from 1,
// columns in Unicode characters; EndColumn is the column after the last
// character (SARIF's convention).
type Region struct {
	File        string
	StartLine   int
	StartColumn int
	EndLine     int
	EndColumn   int
}

// Positions knows where the fields of one object stand in its source.
type Positions interface {
	// Locate finds the node at a path in the text form of field.Path, for
	// example spec.containers[0].env[3].value. Where the node is absent it
	// returns the key of the nearest existing parent. It returns false only
	// when the object has no source.
	Locate(path string) (Region, bool)
}

// Sources finds the positions of every object of the input, those that are
// not subjects included.
type Sources map[Ref]Positions

// Locate returns the region of a field of an object. It returns false when the
// object did not come from a file.
func (s Sources) Locate(ref Ref, path *field.Path) (Region, bool) {
	p, ok := s[ref]
	if !ok {
		return Region{}, false
	}
	text := ""
	if path != nil {
		text = path.String()
	}
	return p.Locate(text)
}
