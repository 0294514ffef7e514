package policy

// ilp-checked: CHECK_ILP is not off (default true).
var checkILPChecked = Check{
	ID: "ilp-checked", Category: CategoryILP, Severity: Error,
	Title: "fulfilments are checked",
	Fix:   "set CHECK_ILP to \"true\" or remove it",
	Doc: `With ` + "`CHECK_ILP: \"false\"`" + ` the SDK accepts a transfer whose fulfilment or packet does not match its
quote: the amount can be changed on the way. The default is true.`,
	Run: switchRule{setting: SettingCheckILP, byDefault: true, want: true, why: "transfers are accepted whatever their fulfilment"}.run,
}
