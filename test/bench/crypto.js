// Measures Mojaloop's own signer, validator and ILP in a loop inside of Node.
// Standard input: {rounds, milliseconds, keys: {RS256: {private, public}, …},
// request, transaction, secret, sdk}. Standard output: {measure: per second},
// of each the best round.
'use strict';

const input = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const { Jws, Ilp } = require(input.sdk);

// As quiet as a logger can be: the SDK is measured, not its log.
const logger = { isDebugEnabled: false, child: () => logger, push: () => logger };
for (const level of ['debug', 'verbose', 'info', 'log', 'warn', 'error']) logger[level] = () => {};

// Processor time of the process, as openssl speed and the other side count.
const used = (since) => {
    const { user, system } = process.cpuUsage(since);
    return (user + system) / 1000;
};

const rate = (operation) => {
    let best = 0;
    for (let round = 0; round < input.rounds; round++) {
        const began = process.cpuUsage();
        let n = 0;
        let milliseconds = 0;
        while (milliseconds < input.milliseconds) {
            for (let i = 0; i < 50; i++) operation();
            n += 50;
            milliseconds = used(began);
        }
        best = Math.max(best, n / milliseconds * 1000);
    }
    return best;
};

const result = {};
for (const [alg, key] of Object.entries(input.keys)) {
    const signer = new Jws.signer({ signingKey: key.private, logger });
    const validator = new Jws.validator({ validationKeys: { [input.request.headers['fspiop-source']]: key.public }, logger });
    const fresh = () => ({ ...input.request, headers: { ...input.request.headers }, body: input.request.body });
    result[`${alg} sign`] = rate(() => signer.sign(fresh()));
    const signed = fresh();
    signer.sign(signed);
    signed.body = JSON.parse(signed.body);
    result[`${alg} verify`] = rate(() => validator.validate(signed));
}
for (const version of Object.values(Ilp.ILP_VERSIONS)) {
    const ilp = Ilp.ilpFactory(version, { secret: input.secret, logger });
    const answer = ilp.getResponseIlp(input.transaction);
    result['ILP condition'] ??= rate(() => ilp.calculateConditionFromFulfil(answer.fulfilment)); // the same in both
    result[`ILP ${version}`] = rate(() => ilp.getResponseIlp(input.transaction));
}
process.stdout.write(JSON.stringify(result));
