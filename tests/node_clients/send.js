// Sends the messages of a file (a JSON list of texts) by one Node client, one after the other.
// usage: node send.js (simple-hl7|node-hl7-client) PORT FILE; prints MSA-1 and MSA-2 of each answer.
"use strict";

const fs = require("fs");

const [client, port, file] = process.argv.slice(2);
const messages = JSON.parse(fs.readFileSync(file, "utf8"));

function print(answer) {
  const msa = answer.split("\r").find((line) => line.startsWith("MSA"));
  const fields = msa ? msa.split("|") : ["MSA", "", ""];
  console.log(fields[1] + " " + fields[2]);
}

async function bySimpleHl7() {
  const hl7 = require("simple-hl7");
  const parser = new hl7.Parser();
  const sender = hl7.Server.createTcpClient({ host: "127.0.0.1", port: Number(port), keepalive: true });
  for (const text of messages) {
    await new Promise((resolve, reject) => {
      sender.send(parser.parse(text), (error, answer) => {
        if (error) return reject(error);
        print(answer.toString());
        resolve();
      });
    });
  }
  sender.close();
}

async function byNodeHl7Client() {
  const { Client, Message } = require("node-hl7-client");
  let answered = null;
  const outbound = new Client({ host: "127.0.0.1" }).createConnection({ port: Number(port) }, (response) =>
    answered(response.getMessage().toString())
  );
  await new Promise((resolve) => outbound.on("connect", resolve));
  for (const text of messages) {
    const answer = new Promise((resolve) => (answered = resolve));
    await outbound.sendMessage(new Message({ text }));
    print(await answer);
  }
  await outbound.close();
}

const work = client === "simple-hl7" ? bySimpleHl7() : byNodeHl7Client();
work.then(() => process.exit(0)).catch((error) => {
  console.error(error);
  process.exit(1);
});
