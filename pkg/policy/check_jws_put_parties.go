package policy

// jws-put-parties: JWS_SIGN_PUT_PARTIES and VALIDATE_INBOUND_PUT_PARTIES_JWS
// are on (both default to false).
var checkJWSPutParties = Check{
	ID: "jws-put-parties", Category: CategoryJWS, Severity: Warning,
	Title: "PUT /parties is signed and verified too",
	Fix:   "set JWS_SIGN_PUT_PARTIES and VALIDATE_INBOUND_PUT_PARTIES_JWS to \"true\" on every SDK of the scheme",
	Doc: `PUT /parties tells a payer who the payee is. By default it is the one message the SDK neither signs
nor verifies, so whoever can reach the callback can put in another account holder. Switch on
` + "`JWS_SIGN_PUT_PARTIES`" + ` everywhere first, then ` + "`VALIDATE_INBOUND_PUT_PARTIES_JWS`" + `.`,
	Run: func(sub *Subject, snap *Snapshot) Result {
		sign := switchRule{setting: SettingJWSSignPutParties, want: true, why: "PUT /parties goes out without a signature"}.run(sub, snap)
		if !sign.Applies {
			return sign
		}
		validate := switchRule{setting: SettingValidatePutParties, want: true, why: "a forged PUT /parties is accepted"}.run(sub, snap)
		sign.join(validate)
		return sign
	},
}
