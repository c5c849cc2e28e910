import type { NatsConnection, Subscription } from "@nats-io/nats-core";
import { connect, type ConnectionOptions } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect as dial, type Socket } from "node:net";
import process from "node:process";
import { after, afterEach, before, describe, it } from "node:test";
import { isAetherError } from "../errors.ts";
import { FaultyNetwork, NatsCluster, NatsServer, type NetworkMessage } from "../testing/mod.ts";
import { headersOf, until } from "./support/jetstream.ts";
import { numbers } from "./support/random.ts";

const MAX_PAYLOAD = 8 * 1024 * 1024;
/** More than TCP takes in one go. */
const LARGE = "x".repeat(8_000_000);

describe("FaultyNetwork", () => {
  let server: NatsServer;
  const open: (() => Promise<void>)[] = [];
  before(async () => {
    server = await NatsServer.start({ maxPayload: MAX_PAYLOAD });
  });
  afterEach(async () => {
    for (const close of open.splice(0).reverse()) await close();
  });
  after(() => server.stop());

  const networkTo = async (url = server.url): Promise<FaultyNetwork> => {
    const network = await FaultyNetwork.between(url);
    open.push(() => network.close());
    return network;
  };
  const clientOf = async ({ url }: { url?: string }, options: ConnectionOptions = {}): Promise<NatsConnection> => {
    const nc = await connect({ servers: url ?? [], reconnectTimeWait: 10, maxReconnectAttempts: -1, ...options });
    open.push(() => nc.close());
    return nc;
  };

  describe("without a fault", () => {
    it("passes payloads of any bytes and size, headers, and requests", async () => {
      const nc = await clientOf(await networkTo());
      echo(nc, "echo");
      const seed = Date.now();
      const random = numbers(seed);
      for (const size of [0, 1, 100, 65_535, 65_536, 300_000, MAX_PAYLOAD - 100]) {
        const payload = Uint8Array.from({ length: size }, () => random() * 256);
        const answer = await nc.request("echo", payload, {
          headers: headersOf({ "X-A": `${size} é` }),
          timeout: 5_000,
        });
        assert.deepEqual(Uint8Array.from(answer.data), payload, `seed ${seed}, size ${size}`);
        assert.equal(answer.headers?.get("X-A"), `${size} é`);
      }
    });

    it("keeps the order of thousands in flight, in both directions", async () => {
      const nc = await clientOf(await networkTo());
      echo(nc, "echo");
      const answers: string[] = [];
      nc.subscribe("answers", { callback: (_, message) => void answers.push(message.string()) });
      const sent = Array.from({ length: 5_000 }, (_, index) => `${index} ${"x".repeat(index % 997)}`);
      for (const payload of sent) nc.publish("echo", payload, { reply: "answers" });
      await until(() => answers.length === sent.length);
      assert.deepEqual(answers, sent);
    });

    it("takes frames however TCP cuts them", async () => {
      const network = await networkTo();
      const heard = inbox(await clientOf(server), "raw");
      await heard.ready;
      const socket = dialed(network).setNoDelay(true);
      const text =
        'CONNECT {"verbose":false,"headers":true}\r\nPUB raw 2\r\n\r\n\r\nHPUB raw 12 13\r\nNATS/1.0\r\n\r\nx\r\n';
      for (const character of text) await new Promise<void>((resolve) => socket.write(character, () => resolve()));
      socket.end(); // all of it arrives, though the client has left
      await until(() => heard.texts.length === 2);
      assert.deepEqual(heard.texts, ["\r\n", "x"]);
      socket.destroy();
    });

    it("passes the server's refusals on", async () => {
      const socket = dialed(await networkTo());
      let text = "";
      socket.on("data", (chunk) => text += chunk);
      socket.write('CONNECT {"verbose":true}\r\nWHAT?\r\n');
      await once(socket, "close");
      assert.match(text, /^INFO .*\r\n\+OK\r\n-ERR 'Unknown Protocol Operation'\r\n$/);
    });

    it("takes no more from a server than its client does", async () => {
      const network = await networkTo();
      const nc = await clientOf(network);
      const socket = dialed(network);
      socket.write("CONNECT {}\r\nSUB much 1\r\n");
      await once(socket, "data");
      socket.pause();
      let delivered = 0;
      network.swallow(({ to }) => {
        if (to === "client") delivered++;
        return false;
      });
      for (let count = 0; count < 40; count++) nc.publish("much", "x".repeat(1_000_000));
      for (let turn = 0; turn < 200; turn++) await nc.flush();
      assert.ok(delivered < 40);
      socket.destroy();
    });

    it("tells clients of no server beside it", async () => {
      const cluster = await NatsCluster.start({ size: 2, jetstream: false });
      open.push(() => cluster.stop());
      assert.equal((await clientOf({ url: cluster.urls[1] })).info?.connect_urls?.length, 2);
      const { info } = await clientOf(await networkTo(cluster.urls[1]));
      assert.equal(info?.connect_urls, undefined);
      assert.equal(info?.server_name, "n2");
    });

    it("ends a client's connection with the server, and takes it again once it is back", async () => {
      const own = await NatsServer.start();
      open.push(() => own.stop());
      const network = await networkTo(own.url);
      const nc = await clientOf(network);
      await own.kill();
      await until(() => network.connections === 0);
      await own.restart();
      await until(() => nc.flush().then(() => true, () => false));
    });
  });

  describe("lets a fault see", () => {
    it("every message, with all that it carries, and nothing else", async () => {
      const network = await networkTo();
      const seen: NetworkMessage[] = [];
      network.swallow((message) => {
        seen.push(message);
        return false;
      });
      const nc = await clientOf(network);
      echo(nc, "echo");
      const head = headersOf({ "X-A": "1: 2" });
      head.append("X-A", "3");
      await nc.request("echo", "é", { headers: head, timeout: 5_000 });
      const inbox = seen[0]?.reply;
      assert.ok(inbox);
      assert.deepEqual(
        seen.map(({ to, subject, reply, answerTo, text }) => ({ to, subject, reply, answerTo, text })),
        [
          { to: "server", subject: "echo", reply: inbox, answerTo: undefined, text: "é" },
          { to: "client", subject: "echo", reply: inbox, answerTo: undefined, text: "é" },
          { to: "server", subject: inbox, reply: undefined, answerTo: "echo", text: "é" },
          { to: "client", subject: inbox, reply: undefined, answerTo: "echo", text: "é" },
        ],
      );
      assert.deepEqual(seen.map(({ headers }) => headers.get("X-A")), ["1: 2", "1: 2", "1: 2", "1: 2"]);
      assert.deepEqual(seen.map(({ sid }) => typeof sid), ["undefined", "string", "undefined", "string"]);
      assert.deepEqual(seen[0]?.payload, new TextEncoder().encode("é"));
    });

    it("which messages are acknowledgements of JetStream", async () => {
      const network = await networkTo();
      const acks: string[] = [];
      network.swallow((message) => {
        if (message.isPubAck) acks.push(message.answerTo ?? "");
        return false;
      });
      const nc = await clientOf(network);
      await stream(nc, "acks");
      await nc.request("acks.1", "1");
      await nc.request("acks.1", "2", { headers: headersOf({ "Nats-Expected-Last-Sequence": 9 }), timeout: 5_000 });
      await nc.request("$JS.API.STREAM.MSG.GET.acks", JSON.stringify({ seq: 1 }));
      echo(nc, "echo");
      for (const text of ["", "{", "null", '{"stream":"s"}', '{"stream":"s","seq":1,"error":{}}']) {
        await nc.request("echo", text);
      }
      assert.deepEqual(acks, ["acks.1"]);
    });
  });

  describe("swallows", () => {
    it("messages that match, as often as it is told or until it is ended", async () => {
      const network = await networkTo();
      const nc = await clientOf(network);
      const heard = inbox(await clientOf(server), "s.*");
      await heard.ready;
      const twice = network.swallow(({ subject }) => subject === "s.a", { times: 2 });
      const all = network.swallow(({ subject }) => subject === "s.b");
      const later = network.swallow(({ subject }) => subject.startsWith("s."), { times: 1 });
      publish(nc, "s.a 0");
      await nc.flush();
      assert.deepEqual([twice.count, later.count], [1, 0]);
      publish(nc, "s.b 2", "s.a 3", "s.b 4", "s.a 5", "s.a 6", "s.b 7");
      await nc.flush();
      assert.deepEqual([twice.count, all.count, later.count], [2, 3, 1]);
      all.end();
      publish(nc, "s.b 8");
      await until(() => heard.texts.includes("8"));
      assert.deepEqual(heard.texts, ["6", "8"]);
    });

    it("an acknowledgement: stored, and nobody is told", async () => {
      const network = await networkTo();
      const nc = await clientOf(network);
      await stream(nc, "lost");
      const lost = network.swallow(({ isPubAck, answerTo }) => isPubAck && answerTo === "lost.1", { times: 1 });
      const write = nc.request("lost.1", "x", { timeout: 300 });
      await lost.met();
      await assert.rejects(write, /timeout/);
      assert.equal((await nc.request("lost.1", "x")).json<{ seq: number }>().seq, 2);
    });
  });

  describe("delays", () => {
    it("messages that match, in their order, and others overtake them", async () => {
      const network = await networkTo();
      const nc = await clientOf(network);
      const heard = inbox(await clientOf(server), "d");
      await heard.ready;
      network.delay(({ text }) => text.startsWith("late"), 50);
      const late = Array.from({ length: 50 }, (_, index) => `late${index}`);
      const began = performance.now();
      publish(nc, ...late.map((text) => `d ${text}`), "d soon");
      await until(() => heard.texts.length === 51);
      assert.ok(performance.now() - began >= 49); // a timer may be early by a fraction
      assert.deepEqual(heard.texts, ["soon", ...late]);
    });
  });

  describe("holds back", () => {
    it("messages that match until their release, also if their client has left", async () => {
      const network = await networkTo();
      const nc = await clientOf(network);
      const heard = inbox(await clientOf(server), "h");
      await heard.ready;
      const held = network.hold(({ text }) => text.startsWith("held"));
      publish(nc, "h held1", "h held2", "h free");
      await held.met(2);
      await until(() => heard.texts.length === 1);
      await nc.close();
      await until(() => network.connections === 0);
      held.release();
      await until(() => heard.texts.length === 3);
      assert.deepEqual(heard.texts, ["free", "held1", "held2"]);
      publish(await clientOf(network), "h held3");
      await until(() => heard.texts.length === 4);
      assert.equal(held.count, 2);
    });
  });

  describe("cuts", () => {
    it("all connections, and clients connect again", async () => {
      const network = await networkTo();
      const clients = await Promise.all([clientOf(network), clientOf(network)]);
      assert.equal(network.connections, 2);
      const held = network.hold(({ subject }) => subject === "c");
      const heard = inbox(await clientOf(server), "c");
      await heard.ready;
      publish(clients[0], "c gone");
      await held.met();
      network.cut();
      assert.equal(network.connections, 0);
      held.release();
      await until(() => network.connections === 2);
      for (const client of clients) await until(() => client.flush().then(() => true, () => false));
      publish(clients[0], "c next");
      await until(() => heard.texts.length > 0);
      assert.deepEqual(heard.texts, ["next"]);
    });

    for (const delivered of [false, true]) {
      it(`where a message passes to the server, ${delivered ? "after" : "before"} it does`, async () => {
        const network = await networkTo();
        const [nc, other] = [await clientOf(network), await clientOf(network)];
        const heard = inbox(await clientOf(server), "c");
        await heard.ready;
        const cut = network.cutAt(({ text }) => text === LARGE || text === "3", { delivered });
        const disconnected = status(nc, "disconnect");
        publish(nc, "c 1", `c ${LARGE}`, "c 3");
        await disconnected;
        await until(() => heard.texts.length === (delivered ? 2 : 1));
        publish(other, "c end");
        await until(() => heard.texts.includes("end"));
        assert.deepEqual(heard.texts, delivered ? ["1", LARGE, "end"] : ["1", "end"]);
        assert.equal(cut.count, 1);
        await until(() => nc.flush().then(() => true, () => false));
      });

      it(`where a message passes to the client, ${delivered ? "after" : "before"} it does`, async () => {
        const network = await networkTo();
        const nc = await clientOf(network);
        const heard = inbox(nc, "c");
        await heard.ready;
        const cut = network.cutAt(({ text }) => text === LARGE || text === "3", { delivered });
        const disconnected = status(nc, "disconnect");
        publish(await clientOf(server), "c 1", `c ${LARGE}`, "c 3");
        await disconnected;
        await until(() => nc.flush().then(() => true, () => false));
        assert.deepEqual(heard.texts, delivered ? ["1", LARGE] : ["1"]);
        assert.equal(cut.count, 1);
      });
    }
  });

  describe("stands still", () => {
    it("with connections open, new ones too, and then goes on where it was", async () => {
      const network = await networkTo();
      const nc = await clientOf(network);
      const direct = await clientOf(server);
      const [there, here] = [inbox(direct, "p"), inbox(nc, "p")];
      await Promise.all([there.ready, here.ready]);
      const held = network.hold(({ text }) => text === "held");
      publish(nc, "p held");
      await held.met();

      network.pause();
      publish(nc, "p 1", "p 2");
      publish(direct, "p 3");
      held.release();
      const late = clientOf(network);
      await until(() => network.connections === 2);
      await assert.rejects(nc.request("nobody", "", { timeout: 100 }), /timeout/);
      assert.equal(nc.isClosed(), false);
      assert.deepEqual([there.texts, here.texts], [["3"], []]);

      network.resume();
      await (await late).flush();
      await until(() => here.texts.length === 4 && there.texts.length === 4);
      assert.deepEqual(there.texts.toSorted(), ["1", "2", "3", "held"]);
      assert.deepEqual(here.texts.filter((text) => /[12]/.test(text)), ["1", "2"]);
    });
  });

  describe("closed", () => {
    it("leaves no connection and takes none", async () => {
      const network = await networkTo();
      const nc = await clientOf(network, { reconnect: false });
      const held = network.hold(() => true);
      network.pause();
      await network.close();
      await network.close();
      await nc.closed();
      assert.equal(network.connections, 0);
      await assert.rejects(held.met(), (error) => isAetherError(error, "CLOSED"));
      assert.throws(() => network.swallow(() => true), (error) => isAetherError(error, "CLOSED"));
      network.pause();
      await assert.rejects(connect({ servers: network.url }), /refused/);
    });

    it("waits for no client that does not read", async () => {
      const network = await networkTo();
      const socket = dialed(network);
      socket.write("CONNECT {}\r\nSUB large 1\r\n");
      await once(socket, "data");
      socket.pause();
      const cut = network.cutAt(() => true, { delivered: true });
      const nc = await clientOf(server);
      publish(nc, `large ${LARGE}`);
      await cut.met();
      for (let turn = 0; turn < 20; turn++) await nc.flush();
      assert.equal(network.connections, 1);
      await network.close();
      socket.destroy();
    });

    it("or not, it does not keep a process alive", async () => {
      const module = new URL("../testing/mod.ts", import.meta.url).href;
      const program = `import(${JSON.stringify(module)}).then(async ({ FaultyNetwork }) => {
        const network = await FaultyNetwork.between(${JSON.stringify(server.url)});
        network.delay(({ text }) => text === "late", 1_000_000);
        const held = network.hold(({ text }) => text === "held");
        const timer = setInterval(() => held.count > 0 && clearInterval(timer), 5);
        console.log(network.url);
      })`;
      const child = spawn(process.execPath, ["Deno" in globalThis ? "eval" : "-e", program], {
        stdio: ["ignore", "pipe", "inherit"],
        timeout: 30_000,
      });
      const ended = once(child, "exit");
      const [url] = await once(child.stdout, "data");
      const nc = await clientOf({ url: String(url).trim() }, { reconnect: false });
      publish(nc, "a late", "a held");
      assert.deepEqual(await ended, [0, null]);
    });
  });

  it("refuses what is no URL of a server", async () => {
    for (const url of ["", "nats://", "tls://localhost:4222", "ws://localhost:80", "127.0.0.1:4222"]) {
      await assert.rejects(FaultyNetwork.between(url), (error) => isAetherError(error, "INVALID_ARGUMENT"), url);
    }
    const network = await networkTo();
    assert.throws(() => network.delay(() => true, NaN), (error) => isAetherError(error, "INVALID_ARGUMENT"));
  });
});

function dialed({ url }: { url: string }): Socket {
  const { hostname, port } = new URL(url);
  return dial(Number(port), hostname);
}

function echo(nc: NatsConnection, subject: string): Subscription {
  return nc.subscribe(subject, {
    callback: (_, message) => void message.respond(message.data, { headers: message.headers }),
  });
}

/** What comes in on a subject, as text. */
function inbox(nc: NatsConnection, subject: string): { texts: string[]; ready: Promise<void> } {
  const texts: string[] = [];
  nc.subscribe(subject, { callback: (_, message) => void texts.push(message.string()) });
  return { texts, ready: nc.flush() };
}

/** Each a subject and a payload. */
function publish(nc: NatsConnection, ...messages: readonly string[]): void {
  for (const message of messages) {
    const [subject = "", payload = ""] = message.split(" ");
    nc.publish(subject, payload);
  }
}

async function stream(nc: NatsConnection, name: string): Promise<void> {
  await nc.request(`$JS.API.STREAM.CREATE.${name}`, JSON.stringify({ name, subjects: [`${name}.>`] }));
}

async function status(nc: NatsConnection, type: string): Promise<void> {
  for await (const event of nc.status()) if (event.type === type) return;
}
