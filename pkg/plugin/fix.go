package plugin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/mojasec/mojasec/pkg/plugin/yamledit"
	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/pkg/policy/collect/yamltree"
)

// repair is what one object of a file lacks.
type repair struct {
	at      policy.Region // of its name
	object  policy.Ref
	changes []policy.Change
}

// fix writes what was injected into the files that the objects came from, or
// prints the difference. It tells whether a file changed. A file that cannot be
// edited safely stays as it is, and the code is then Refused.
func (o *VerifyOptions) fix(r *policy.Report) (changed bool, code Code, err error) {
	repairs := map[string][]repair{}
	for i := range r.Subjects {
		sub := &r.Subjects[i]
		if len(sub.Changes) == 0 {
			continue
		}
		if at, ok := r.Sources[sub.Ref].Locate("metadata.name"); ok {
			repairs[at.File] = append(repairs[at.File], repair{at, sub.Ref, sub.Changes})
		}
	}
	if len(repairs) == 0 {
		o.say("nothing to inject: no file needs a change")
	}
	for _, file := range slices.Sorted(maps.Keys(repairs)) {
		err := o.fixFile(file, repairs[file])
		switch refused, ok := errors.AsType[*refusedError](err); {
		case ok:
			code = Refused
			o.say("left alone: %v", refused)
		case err != nil:
			return changed, code, err
		default:
			changed = !o.DryRun
		}
	}
	return changed, code, nil
}

// refusedError is why a file was left alone.
type refusedError struct {
	file, reason string
	todo         []string
}

// Error says why, and what to add by hand.
func (e *refusedError) Error() string {
	return fmt.Sprintf("%s: %s; add by hand: %s", e.file, e.reason, strings.Join(e.todo, "; "))
}

func (o *VerifyOptions) fixFile(file string, repairs []repair) error {
	refused := &refusedError{file: visible(file)}
	for _, rep := range repairs {
		for _, c := range rep.changes {
			refused.todo = append(refused.todo, visible(rep.object.String()+": "+c.Text))
		}
	}
	data, err := os.ReadFile(file) //nolint:gosec // the user names the file
	if err != nil {
		return fmt.Errorf("fix: %w", err)
	}
	f, err := yamledit.Parse(data)
	for _, rep := range repairs {
		if err == nil {
			err = f.Add(yamltree.Position{Line: rep.at.StartLine, Column: rep.at.StartColumn}, members(rep.changes))
		}
	}
	var edited []byte
	if err == nil {
		edited, err = f.Bytes()
	}
	if err != nil {
		refused.reason = err.Error()
		return refused
	}
	if o.DryRun {
		if _, err := io.WriteString(o.Out, f.Diff(o.Report.Path(file))); err != nil {
			return fmt.Errorf("print the difference: %w", err)
		}
		return nil
	}
	err = writeFile(file, func(w io.Writer) error {
		_, err := w.Write(edited)
		return err
	})
	switch {
	case errors.Is(err, fs.ErrPermission):
		refused.reason = "cannot be written: " + fs.ErrPermission.Error()
		return refused
	case err == nil:
		o.say("fixed: %s: %d added", visible(file), len(refused.todo))
	}
	return err
}

// members are changes in the terms of an edit.
func members(changes []policy.Change) []yamledit.Member {
	out := make([]yamledit.Member, 0, len(changes))
	for _, c := range changes {
		out = append(out, yamledit.Member{Path: c.Path.String(), Key: c.Key, Value: tree(c.Value)})
	}
	return out
}

// tree returns a typed value as encoding/json decodes it.
func tree(value any) any {
	text, err := json.Marshal(value)
	if err != nil {
		return nil // the values of a Change are types of the API: they encode
	}
	var out any
	if err := json.Unmarshal(text, &out); err != nil {
		return nil
	}
	return out
}
