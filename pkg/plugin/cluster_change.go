package plugin

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/term"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// The values of --dry-run.
const (
	dryRunNone   = "none"
	dryRunClient = "client"
	dryRunServer = "server"
)

// pollInterval is how often a wait looks.
const pollInterval = 500 * time.Millisecond

// writeFlags are the flags of every command that changes a cluster.
type writeFlags struct {
	DryRun  string
	Yes     bool
	Timeout time.Duration
}

func newWriteFlags(timeout time.Duration) writeFlags {
	return writeFlags{DryRun: dryRunNone, Timeout: timeout}
}

func (f *writeFlags) addWriteFlags(fs *pflag.FlagSet) {
	fs.StringVar(&f.DryRun, "dry-run", f.DryRun, "`HOW` to change nothing: client prints the plan, server lets the API server judge it too")
	fs.Lookup("dry-run").NoOptDefVal = dryRunClient
	fs.BoolVarP(&f.Yes, "yes", "y", false, "do not ask")
	fs.DurationVar(&f.Timeout, "timeout", f.Timeout, "give up waiting after this `TIME`")
}

func (f *writeFlags) validateWrite() error {
	switch {
	case f.DryRun != dryRunNone && f.DryRun != dryRunClient && f.DryRun != dryRunServer:
		return unknown("value of --dry-run", f.DryRun, []string{dryRunNone, dryRunClient, dryRunServer})
	case f.Timeout <= 0:
		return &usageError{message: fmt.Sprintf("--timeout %s: want a time from now on, for example 2m", f.Timeout)}
	}
	return nil
}

// writer carries out plans: the edge that all commands that change a cluster
// share.
type writer struct {
	*cluster
	writeFlags
	genericiooptions.IOStreams

	// shown tells that the plan was printed, with its notes.
	shown bool
}

// action is what happens to an object, in kubectl's words.
type action string

// The actions.
const (
	created    action = "created"
	configured action = "configured"
	unchanged  action = "unchanged"
	deleted    action = "deleted"
	labelled   action = "labeled" // as kubectl spells it
	unlabelled action = "unlabeled"
	restarted  action = "restarted"
)

// planned are the actions as they are announced.
var planned = map[action]string{
	created: "create", configured: "configure", unchanged: "leave as it is", deleted: "delete",
	labelled: "label", unlabelled: "remove the mode label of", restarted: "restart",
}

// step is one change of a plan.
type step struct {
	action action
	// object is what to apply, or names what to delete or restart.
	object *unstructured.Unstructured
	// note says in a word what the reader of a plan would ask; may be "".
	note string
}

// pending returns the steps that change something.
func pending(steps []step) []step {
	var out []step
	for _, s := range steps {
		if s.action != unchanged {
			out = append(out, s)
		}
	}
	return out
}

// actionOf compares an object with what applying makes of it; both may be nil.
func actionOf(live, applied *unstructured.Unstructured) action {
	if live == nil {
		return created
	}
	if equality.Semantic.DeepEqual(withoutBookkeeping(live), withoutBookkeeping(applied)) {
		return unchanged
	}
	return configured
}

// withoutBookkeeping drops what the API server writes on its own account.
func withoutBookkeeping(obj *unstructured.Unstructured) map[string]any {
	out := obj.DeepCopy()
	for _, name := range []string{"managedFields", "resourceVersion", "generation"} {
		unstructured.RemoveNestedField(out.Object, "metadata", name)
	}
	return out.Object
}

// contains tells whether got has all of want: every member of its maps, every
// element of its lists, in order. It stands for a dry run where the API server
// is not asked.
func contains(got, want any) bool {
	switch want := want.(type) {
	case map[string]any:
		got, ok := got.(map[string]any)
		if !ok {
			return len(want) == 0
		}
		for k, v := range want {
			if !contains(got[k], v) {
				return false
			}
		}
		return true
	case []any:
		got, ok := got.([]any)
		if !ok || len(got) != len(want) {
			return len(want) == 0 && len(got) == 0
		}
		for i := range want {
			if !contains(got[i], want[i]) {
				return false
			}
		}
		return true
	case nil:
		return true
	}
	return equality.Semantic.DeepEqual(got, want) || fmt.Sprint(got) == fmt.Sprint(want)
}

// preview finds out what applying an object would do.
func (w *writer) preview(ctx context.Context, obj *unstructured.Unstructured, force bool) (action, *unstructured.Unstructured, error) {
	live, err := w.read(ctx, obj.GroupVersionKind().GroupKind(), obj.GetNamespace(), obj.GetName())
	switch {
	case err != nil:
		return "", nil, err
	case live == nil:
		return created, nil, nil
	case w.DryRun == dryRunClient:
		if contains(live.Object, obj.Object) {
			return unchanged, live, nil
		}
		return configured, live, nil
	}
	applied, err := w.apply(ctx, obj, true, force)
	if err != nil {
		return "", live, conflict(obj, err)
	}
	return actionOf(live, applied), live, nil
}

// conflict explains a refusal of server-side apply: fields that others own.
func conflict(obj *unstructured.Unstructured, err error) error {
	status, ok := errors.AsType[*apierrors.StatusError](err)
	if !ok || !apierrors.IsConflict(err) || status.ErrStatus.Details == nil {
		return err
	}
	var fields []string
	for _, cause := range status.ErrStatus.Details.Causes {
		if cause.Type == metav1.CauseTypeFieldManagerConflict {
			fields = append(fields, fmt.Sprintf("%s (%s)", cause.Field, cause.Message))
		}
	}
	if len(fields) == 0 {
		return err
	}
	return refused("%s: somebody else set %s; take these fields over with --force-conflicts", nameOfObject(obj), visible(strings.Join(fields, ", ")))
}

// show prints a plan for the person who is to agree to it.
func show(w io.Writer, steps []step) {
	_, _ = fmt.Fprintln(w, "This will:")
	for _, s := range pending(steps) {
		line := "  " + planned[s.action] + " " + nameOfObject(s.object)
		if s.note != "" {
			line += ": " + s.note
		}
		_, _ = fmt.Fprintln(w, visible(line))
	}
}

// agree asks whether to go on. Without a terminal it does not ask: it refuses,
// unless --yes was given.
func (w *writer) agree(ctx context.Context, steps []step) error {
	if w.Yes || w.DryRun != dryRunNone {
		return nil
	}
	show(w.ErrOut, steps)
	w.shown = true
	in, ok := w.In.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return refused("nothing was changed: there is no terminal to ask on; agree with --yes, or look first with --dry-run=server")
	}
	yes, err := ask(ctx, in, w.ErrOut, "Go on?")
	switch {
	case ctx.Err() != nil:
		return interrupted("nothing was changed")
	case err != nil:
		return err
	case !yes:
		return refused("nothing was changed")
	}
	return nil
}

// ask asks a question that is answered with yes or no. A terminal gives a line
// when it is complete, so only a reader on the side can be left at a signal.
func ask(ctx context.Context, in io.Reader, out io.Writer, question string) (bool, error) {
	_, _ = fmt.Fprint(out, question+" [y/N] ")
	type reply struct {
		line string
		err  error
	}
	replies := make(chan reply, 1)
	go func() {
		line, err := bufio.NewReader(in).ReadString('\n')
		replies <- reply{line, err}
	}()
	select {
	case <-ctx.Done():
		_, _ = fmt.Fprintln(out)
		return false, ctx.Err()
	case r := <-replies:
		if r.err != nil && !errors.Is(r.err, io.EOF) {
			return false, fmt.Errorf("read the answer: %w", r.err)
		}
		line := strings.ToLower(strings.TrimSpace(r.line))
		return line == "y" || line == "yes", nil
	}
}

// interrupted is the error for a command that a signal ended; state is how
// things are now.
func interrupted(state string) error {
	return &ExitError{Code: Interrupted, Err: errors.New("interrupted: " + state)}
}

// done prints what happened to an object, as kubectl does, and what there is to
// know of that unless the plan has said it.
func (w *writer) done(s step) {
	suffix := map[string]string{dryRunClient: " (dry run)", dryRunServer: " (server dry run)"}[w.DryRun]
	if s.note != "" && s.action != unchanged && !w.shown {
		suffix += ": " + visible(s.note)
	}
	_, _ = fmt.Fprintf(w.Out, "%s %s%s\n", nameOfObject(s.object), s.action, suffix)
}

// say prints to stderr.
func (w *writer) say(format string, args ...any) {
	_, _ = fmt.Fprintf(w.ErrOut, format+"\n", args...)
}

// await looks until done says so or the time is up. done also says what it
// waits for; each new sentence is printed once.
func (w *writer) await(ctx context.Context, what string, done func(context.Context) (ok bool, state string, err error)) error {
	ctx, cancel := context.WithTimeout(ctx, w.Timeout)
	defer cancel()
	last := ""
	err := wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		ok, state, err := done(ctx)
		if err == nil && !ok && state != last {
			last = state
			w.say("waiting for %s: %s", what, state)
		}
		return ok, err
	})
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded) || wait.Interrupted(err) && ctx.Err() != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &ExitError{Code: TimedOut, Err: fmt.Errorf("waited %s for %s: %s; wait longer with --timeout", w.Timeout, what, last)}
	}
	return fmt.Errorf("wait for %s: %w", what, err)
}
