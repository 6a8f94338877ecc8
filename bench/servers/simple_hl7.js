// npm's simple-hl7 with the application of its own README; it stores nothing.
// It would bind every interface; this process listens on loopback alone.
const net = require('net');
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function () {
  return listen.call(this, 0, '127.0.0.1', () => console.log('ready', this.address().port));
};
const hl7 = require(process.argv[2]);
const app = hl7.tcp();
app.use((request, response, next) => response.end());
app.start(1);
