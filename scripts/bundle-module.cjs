// Stands in for node:module in the bundled command, whose `require` there is already: loading the real one takes a millisecond.
exports.createRequire = () => require;
