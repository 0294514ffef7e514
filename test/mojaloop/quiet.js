// Leaves errors and warnings of Mojaloop's logger. The logger has no level of
// its own; levels that are not configured do nothing, as its source says.
'use strict';

const library = require.resolve('@mojaloop/sdk-standard-components', { paths: [process.env.MOJASEC_ADAPTER] });
const { Logger } = require(library).Logger;
const { configure } = Logger.prototype;

Logger.prototype.configure = function (config) {
    return configure.call(this, { ...config, opts: { ...config.opts, levels: ['warn', 'error', 'fatal'] } });
};
Logger.prototype.log = function () {};
