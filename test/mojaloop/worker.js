// Calls functions of a release of sdk-standard-components. Requests and answers
// are lines of JSON on stdin and stdout; bytes are base64.
//
//   node -e "$(cat worker.js)" MODULES RELEASE
//
// The end of stdin is the end of the process.
'use strict';

const fs = require('node:fs');
const { createRequire } = require('node:module');
const path = require('node:path');

const [modules, release] = process.argv.slice(1);
const folder = (name) => path.join(modules, 'node_modules', `sdk-standard-components-${name}`, 'src', 'index.js');
const { Jws, Ilp } = require(folder(release));
// The library of the newer release; the older one uses JSON.stringify.
const safeStableStringify = createRequire(folder('19.19.1'))('safe-stable-stringify');
const old = !Ilp.ilpFactory;

// The two releases ask their loggers in different ways whether they are on.
const logger = { isDebugEnabled: old ? () => false : false };
for (const name of ['child', 'push']) logger[name] = () => logger;
for (const name of ['debug', 'info', 'log', 'verbose', 'warn', 'error']) logger[name] = () => {};

const bytes = (base64) => Buffer.from(base64, 'base64');
const base64 = (text, encoding = 'utf8') => Buffer.from(text, encoding).toString('base64');
// A body as the server has it after its parser of bodies.
const parse = (body) => JSON.parse(bytes(body).toString());
// HTTP headers: Node gives them as Latin-1.
const decodeHeaders = (headers) => Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, bytes(value).toString('latin1')]));
const encodeHeaders = (headers) => Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, base64(value, 'latin1')]));
// One answer, or the error in its place.
const attempt = (f) => {
    try {
        return f();
    } catch (err) {
        return { error: String(err.message) || 'an error without a message' };
    }
};

const ilpOf = (version, secret) => old ? new Ilp({ secret, logger }) : Ilp.ilpFactory(`v${version}`, { secret, logger });

const methods = {
    versions: () => ({ node: process.versions.node, openssl: process.versions.openssl }),

    // {seconds} -> {}, after that time
    sleep: ({ seconds }) => {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, seconds * 1000);
        return {};
    },

    // {texts} -> [{ordered, sorted} or {error}]
    stringify: ({ texts }) => texts.map((text) => attempt(() => {
        const value = parse(text);
        return { ordered: base64(JSON.stringify(value)), sorted: base64(safeStableStringify(value)) };
    })),

    // {key, messages: [{method, uri, headers, body, axios}]} -> [{headers, body} or {error}]
    // Requests are those of the SDK: uri and body, or url and data for axios.
    sign: ({ key, messages }) => messages.map((m) => attempt(() => {
        const signer = new Jws.signer({ signingKey: key, logger });
        const [uri, body] = m.axios ? ['url', 'data'] : ['uri', 'body'];
        const request = { method: m.method, [uri]: bytes(m.uri).toString('latin1'), headers: decodeHeaders(m.headers), [body]: parse(m.body) };
        signer.sign(request);
        return { headers: encodeHeaders(request.headers), body: base64(request[body]) };
    })),

    // {keys: {fsp: PEM}, messages: [{headers, body}]} -> ["" or why it is refused]
    verify: ({ keys, messages }) => {
        const validator = new Jws.validator({ validationKeys: keys, logger });
        return messages.map((m) => attempt(() => {
            validator.validate({ headers: decodeHeaders(m.headers), body: parse(m.body) });
            return { error: '' };
        }).error);
    },

    // {version, secrets, transactions} -> [{fulfilment, condition, ilpPacket} or {error}]
    'ilp.generate': ({ version, secrets, transactions }) => transactions.map((text, i) => attempt(() =>
        ilpOf(version, bytes(secrets[i]).toString()).getResponseIlp(parse(text)))),

    // {version, secrets, packets} -> [{amount, account, expiresAt, condition, transaction, fulfilment} or {error}]
    'ilp.decode': ({ version, secrets, packets }) => packets.map((packet, i) => attempt(() => {
        const ilp = ilpOf(version, bytes(secrets[i]).toString());
        const p = ilp.decodeIlpPacket(packet);
        return {
            amount: String(p.amount),
            account: base64(p.account ?? p.destination, 'latin1'),
            expiresAt: p.expiresAt?.toISOString(),
            condition: p.executionCondition?.toString('base64url'),
            transaction: base64(JSON.stringify(ilp.getTransactionObject(packet))),
            // Version 4 makes the whole answer anew, and may not like the object.
            fulfilment: attempt(() => ({ text: ilp.calculateFulfil(packet) })).text,
        };
    })),

    // {version, transfers: [body]} -> [{valid} or {error}]
    'ilp.validate': ({ version, transfers }) => transfers.map((text) => attempt(() => ({ valid: ilpOf(version, 's').validateIlpAgainstTransferRequest(parse(text)) }))),

    // {pairs: [{fulfilment, condition}]} -> [{valid} or {error}]
    'ilp.verify': ({ pairs }) => pairs.map((p) => attempt(() => ({ valid: ilpOf(1, 's').validateFulfil(p.fulfilment, p.condition) }))),
};

const answer = (line) => {
    const { id, method, in: input } = JSON.parse(line);
    try {
        if (!methods[method]) throw new Error(`there is no method ${method}`);
        return { id, out: methods[method](input) };
    } catch (err) {
        return { id, error: err.stack };
    }
};

// Everything is synchronous, so that one line is served after the other.
let parts = [];
process.stdin.on('data', (chunk) => {
    for (let end; (end = chunk.indexOf(10)) >= 0; chunk = chunk.subarray(end + 1)) {
        parts.push(chunk.subarray(0, end));
        const line = Buffer.concat(parts).toString();
        parts = [];
        let text = Buffer.from(JSON.stringify(answer(line)) + '\n');
        while (text.length > 0) {
            try {
                text = text.subarray(fs.writeSync(1, text));
            } catch (err) {
                if (err.code !== 'EAGAIN') throw err;
            }
        }
    }
    parts.push(chunk);
});
process.stdin.on('end', () => process.exit(0));
