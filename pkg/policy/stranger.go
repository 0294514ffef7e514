package policy

// stranger tells whether a workload stands outside of what protects a
// namespace: its own namespace has no mode, that one has. What a stranger
// claims, signs or holds is told, but refuses nobody: else whoever has a
// namespace could keep the pods of a DFSP from starting.
func (s *Snapshot) stranger(w *Workload, ns string) bool {
	if w.Ref.Namespace == ns {
		return false
	}
	if mode, presence := s.Mode(w.Ref.Namespace); presence != Present || mode != ModeNone {
		return false
	}
	mode, presence := s.Mode(ns)
	return presence == Present && mode != ModeNone
}

// strangersOnly splits the DFSPs that sign: those only strangers sign as come
// second. It stops when there are more of the first than can be told.
func (s *Snapshot) strangersOnly(fsps []string, ns string) (known, strange []string) {
	for _, fsp := range fsps {
		only := true
		for _, sg := range s.whole().signers[fsp] {
			if only = s.stranger(sg.workload, ns); !only {
				break
			}
		}
		if only {
			strange = append(strange, fsp)
		} else if known = append(known, fsp); len(known) > maxEnumerated {
			break
		}
	}
	return known, strange
}
