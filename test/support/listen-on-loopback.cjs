// Loaded into a process before the functions-framework, which listens on every interface and has no
// option for another: a server that is given a port alone listens on loopback.
const { Server } = require("node:net");

const { listen } = Server.prototype;
Server.prototype.listen = function (port, ...rest) {
  const isPortAlone = /^\d+$/.test(String(port)) && typeof rest[0] !== "string";
  return isPortAlone
    ? listen.call(this, port, "127.0.0.1", ...rest)
    : listen.call(this, port, ...rest);
};
