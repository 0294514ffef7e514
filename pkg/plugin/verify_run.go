package plugin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/pkg/policy/collect"
)

// Run judges, writes the reports and returns the verdict as an [ExitError].
func (o *VerifyOptions) Run(ctx context.Context) error {
	if o.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.Timeout)
		defer cancel()
	}
	r, codes := o.judge(ctx)
	if err := o.write(&r); err != nil {
		o.say("error: %v", err)
		codes = append(codes, Failed)
	}
	o.sayMore(&r)
	return exit(append(codes, o.verdict(&r))...)
}

// judge reviews the input. It returns as soon as ctx ends, with a report that
// says so.
func (o *VerifyOptions) judge(ctx context.Context) (policy.Report, []Code) {
	type answer struct {
		report policy.Report
		codes  []Code
		err    error
	}
	answers := make(chan answer, 1)
	go func() {
		var a answer
		a.report, a.codes, a.err = o.review(ctx)
		answers <- a
	}()
	var err error
	select {
	case a := <-answers:
		if a.err == nil {
			return a.report, a.codes
		}
		err = a.err
	case <-ctx.Done():
		err = ctx.Err()
	}
	code, message := Failed, err.Error()
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		code, message = TimedOut, fmt.Sprintf("nothing was judged within %s (--timeout)", o.Timeout)
	case errors.Is(err, context.Canceled):
		code, message = Interrupted, "interrupted before anything was judged"
	}
	return policy.Report{Errors: []policy.InputError{{Message: message}}}, []Code{code}
}

// review reads and judges; with Fix it also mends the files, and judges what
// they are then.
func (o *VerifyOptions) review(ctx context.Context) (policy.Report, []Code, error) {
	r, err := o.once(ctx)
	if err != nil || !o.Fix {
		return r, nil, err
	}
	changed, code, err := o.fix(&r)
	if err != nil || !changed {
		return r, []Code{code}, err
	}
	r, err = o.once(ctx)
	return r, []Code{code}, err
}

// once reads and judges.
func (o *VerifyOptions) once(ctx context.Context) (policy.Report, error) {
	in, err := collect.Files(ctx, o.Collect)
	if err != nil {
		return policy.Report{}, err
	}
	extra := &collect.Result{}
	if len(o.Waivers) > 0 {
		if extra, err = collect.Files(ctx, collect.Options{Paths: o.Waivers, Stdin: o.In}); err != nil {
			return policy.Report{}, err
		}
	}
	known, baselineErr := baseline{}, error(nil)
	if o.Baseline != "" {
		known, baselineErr = readBaseline(o.Baseline)
	}

	snapshot := policy.OfflineOptions(o.Now, o.HashKey)
	snapshot.Waivers = waiversOf(extra)
	objects := make([]runtime.Object, 0, len(in.Objects))
	inputs := make([]policy.Input, 0, len(in.Objects)+len(in.Values))
	sources := make(policy.Sources, len(in.Objects)+len(in.Values))
	for _, obj := range o.unique(in.Objects) {
		objects = append(objects, obj.Object)
		inputs = append(inputs, policy.Input{Object: obj.Object, Raw: obj.Raw})
		sources[obj.Ref] = obj.Positions
	}
	for _, v := range in.Values {
		input := policy.ValuesInput(v.Ref.Name, v.Tree)
		inputs = append(inputs, input)
		sources[input.Ref] = v.Positions
	}
	// Waivers that count are judged too, unless they are among the manifests.
	for _, obj := range extra.Objects {
		if _, ok := obj.Object.(*v1alpha1.Waiver); ok && sources[obj.Ref] == nil {
			inputs = append(inputs, policy.Input{Object: obj.Object})
			sources[obj.Ref] = obj.Positions
		}
	}

	r := policy.Review(o.Checks, inputs, policy.NewSnapshot(snapshot, objects), o.Inject)
	r.Sources, r.PassedOver = sources, in.PassedOver
	r.Errors = slices.Concat(in.Errors, extra.Errors, notWaivers(extra))
	if baselineErr != nil {
		r.Errors = append(r.Errors, policy.InputError{File: o.Baseline, Message: baselineErr.Error()})
	}
	known.mark(&r)
	return r, nil
}

// unique drops objects that are given again later, as applying them one after
// the other would, and says so.
func (o *VerifyOptions) unique(in []collect.Object) []collect.Object {
	last := make(map[policy.Ref]int, len(in))
	for i := range in {
		last[in[i].Ref] = i
	}
	if len(last) == len(in) {
		return in
	}
	out := make([]collect.Object, 0, len(last))
	for i := range in {
		if j := last[in[i].Ref]; j != i {
			o.say("given twice: %s at %s and %s: the later one counts", in[i].Ref, placeOf(in[i].Positions), placeOf(in[j].Positions))
			continue
		}
		out = append(out, in[i])
	}
	return out
}

func placeOf(p policy.Positions) string {
	at, ok := p.Locate("metadata.name")
	if !ok {
		return "an unknown place"
	}
	return visible(fmt.Sprintf("%s:%d", at.File, at.StartLine))
}

func waiversOf(in *collect.Result) []*v1alpha1.Waiver {
	waivers := []*v1alpha1.Waiver{} // not nil: none count but these
	for _, obj := range in.Objects {
		if w, ok := obj.Object.(*v1alpha1.Waiver); ok {
			waivers = append(waivers, w)
		}
	}
	return waivers
}

// notWaivers finds what does not belong into a file of Waivers: most likely a
// Waiver with a typing error, which would silently not count.
func notWaivers(in *collect.Result) []policy.InputError {
	var errs []policy.InputError
	add := func(ref policy.Ref, at policy.Positions) {
		e := policy.InputError{Message: fmt.Sprintf("%s is not a Waiver, and --waivers takes only those", ref)}
		if region, ok := at.Locate(""); ok {
			e.File, e.Line, e.Column = region.File, region.StartLine, region.StartColumn
		}
		errs = append(errs, e)
	}
	for _, obj := range in.Objects {
		if _, ok := obj.Object.(*v1alpha1.Waiver); !ok {
			add(obj.Ref, obj.Positions)
		}
	}
	for _, v := range in.Values {
		add(v.Ref, v.Positions)
	}
	for kind, n := range in.PassedOver {
		errs = append(errs, policy.InputError{Message: fmt.Sprintf("--waivers: %d of kind %s: want Waiver", n, kind)})
	}
	return errs
}

// write writes every output, also when one of them cannot be written.
func (o *VerifyOptions) write(r *policy.Report) error {
	var errs []error
	for i := range o.Outputs {
		errs = append(errs, o.Outputs[i].write(o.Out, r, o.Report))
	}
	return errors.Join(errs...)
}

// verdict is what the report as such amounts to.
func (o *VerifyOptions) verdict(r *policy.Report) Code {
	codes := []Code{Good}
	if len(r.Errors) > 0 {
		codes = append(codes, Failed)
	}
	if r.FailedAt(o.FailOn) {
		codes = append(codes, Findings)
	}
	if o.incomplete(r) || (!o.AllowIncomplete && !judged(r)) {
		codes = append(codes, Incomplete)
	}
	return worst(codes...)
}

// judged tells whether there was anything to judge: an object, or values that a
// check had something to say about. A pipe whose first half failed gives an
// empty input, which must not look like a good one.
func judged(r *policy.Report) bool {
	object := func(s policy.Subject) bool { return s.Object != nil }
	return len(r.Errors)+len(r.Passed)+len(r.Findings)+len(r.Skipped) > 0 || slices.ContainsFunc(r.Subjects, object)
}

func (o *VerifyOptions) incomplete(r *policy.Report) bool {
	return !o.AllowIncomplete && (r.Incomplete() || o.Strict && len(r.Skipped) > 0)
}

// sayMore says on stderr what the answer on stdout does not.
func (o *VerifyOptions) sayMore(r *policy.Report) {
	forPeople := []string{"table", "wide", "short", "markdown"}
	shown := slices.ContainsFunc(o.Outputs, func(out output) bool {
		return out.file == "" && slices.Contains(forPeople, out.format)
	})
	if !shown {
		for _, e := range r.Errors {
			o.say("error: %s", visible(e.Error()))
		}
	}
	if !judged(r) {
		passed := 0
		for _, n := range r.PassedOver {
			passed += n
		}
		o.say("nothing was judged: no object of a kind that a check reads (%d of other kinds); accept it with --allow-incomplete", passed)
		if slices.Contains(o.Collect.Paths, stdin) {
			o.say("did the command before the pipe fail? in a script: set -o pipefail")
		}
		return
	}
	if o.verdict(r) == Incomplete {
		o.say("incomplete: some checks could not be decided; give the objects they need with -f, or accept it with --allow-incomplete")
	}
}

func (o *VerifyOptions) say(format string, args ...any) {
	_, _ = fmt.Fprintf(o.ErrOut, format+"\n", args...)
}

// visible makes control characters of names visible.
func visible(text string) string {
	quoted := fmt.Sprintf("%q", text)
	if quoted == `"`+text+`"` {
		return text
	}
	return strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(quoted[1 : len(quoted)-1])
}

// flat replaces directories by the files in them.
func flat(paths []string) []string {
	var out []string
	for _, path := range paths {
		entries, err := os.ReadDir(path)
		if err != nil { // a file, or collect says what is wrong with it
			out = append(out, path)
			continue
		}
		for _, e := range entries {
			if ext := filepath.Ext(e.Name()); !e.IsDir() && slices.Contains([]string{".yaml", ".yml", ".json"}, ext) {
				out = append(out, filepath.Join(path, e.Name()))
			}
		}
	}
	return out
}
