// An HTTP server that verifies signatures with Mojaloop's own validator, and does
// nothing else: what JWS by itself costs a peer.
'use strict';

const fs = require('fs');
const http = require('http');
const path = require('path');

const [modules, release, port, directory] = process.argv.slice(2);
const { Jws } = require(require.resolve(`sdk-standard-components-${release}`, { paths: [modules] }));

const validationKeys = {};
for (const file of fs.readdirSync(directory)) {
    validationKeys[path.basename(file, '.pem')] = fs.readFileSync(path.join(directory, file));
}
const nothing = () => {};
const logger = {
    child: () => logger, push: () => logger, log: nothing, debug: nothing, verbose: nothing, info: nothing, warn: nothing, error: nothing,
    // A function in older releases, a value in newer ones.
    isDebugEnabled: Number(release.split('.')[0]) < 18 ? () => false : false,
};
const validator = new Jws.validator({ logger, validationKeys });

http.createServer((request, response) => {
    const chunks = [];
    request.on('data', chunk => chunks.push(chunk));
    request.on('end', () => {
        try {
            validator.validate({ headers: request.headers, body: JSON.parse(Buffer.concat(chunks).toString()) });
            response.writeHead(request.method === 'POST' ? 202 : 200).end();
        } catch (err) {
            const body = { errorInformation: { errorCode: '3105', errorDescription: err.message } };
            response.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify(body));
        }
    });
}).listen(Number(port), '127.0.0.1');
