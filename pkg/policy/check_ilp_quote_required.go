package policy

// ilp-quote-required: ALLOW_TRANSFER_WITHOUT_QUOTE is not on (default false).
var checkILPQuoteRequired = Check{
	ID: "ilp-quote-required", Category: CategoryILP, Severity: Error,
	Title: "a transfer needs a quote",
	Fix:   "set ALLOW_TRANSFER_WITHOUT_QUOTE to \"false\" or remove it",
	Doc: `With ` + "`ALLOW_TRANSFER_WITHOUT_QUOTE: \"true\"`" + ` the payee's SDK fulfils transfers it never quoted, deriving
the fulfilment from the current secret: terms nobody agreed to are settled, and rotating the secret
breaks transfers under way. The default is false.`,
	Run: switchRule{setting: SettingWithoutQuote, byDefault: false, want: false, why: "transfers nobody quoted are fulfilled"}.run,
}
