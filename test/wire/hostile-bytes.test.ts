/**
 * Bytes that no good client sends, against a bus in a process of its own while others are served. What is asked after
 * every blow stands in besieged-bus.ts; what a refusal must look like, in decent-refusal.ts.
 */
import { brotliCompressSync, gzipSync } from "node:zlib";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import {
  ListMessagesRequestSchema,
  SendBatchRequestSchema,
  SendRequestSchema,
} from "#gen/agentbus/v1/message_bus_pb.js";
import { type BesiegedBus, besiegedBus } from "./besieged-bus.ts";
import { expectDecent, expectRefusal, expectRefused } from "./decent-refusal.ts";
import { type Caller, overHttp1, overHttp2 } from "./http-calls.ts";
import {
  ACK,
  callHeaders,
  END_HEADERS,
  END_STREAM,
  frame,
  headerBlock,
  PADDED,
  PREFACE,
  setting,
  Type,
  u32,
} from "./http2-frames.ts";
import { openDescriptors, residentMemory } from "./process-figures.ts";
import { answersIn, answersTo, LOCAL, RawSocket, request } from "./raw-socket.ts";
import { COMPRESSED, callIn, envelope, framedCall, type Protocol, refusedIn } from "./rpc-forms.ts";

const SEND = "/agentbus.v1.MessageBus/Send";
const MIB = 1024 * 1024;
/** What a flood may add to the memory of the process: ten thousand open calls and some mail in flight. */
const MAX_GROWTH_MIB = 600;

function sendBytes(fields: MessageInitShape<typeof SendRequestSchema>): Uint8Array {
  return toBinary(SendRequestSchema, create(SendRequestSchema, fields));
}

function inChunks(body: string): string {
  return `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
}

async function unreadOf(bus: BesiegedBus, agent: string): Promise<unknown[]> {
  return (await bus.ok("PullInbox", { agent })).messages;
}

function pidOf(bus: BesiegedBus): number {
  return bus.process.pid as number;
}

describe("HTTP/1.1", () => {
  test("refuses a head that is not one, or that names no host, and goes on", async () => {
    const bus = await besiegedBus();
    const get = (head: string) => `GET /healthz HTTP/1.1\r\n${head}\r\n`;
    const heads: Record<string, [bytes: string, status: number]> = {
      "HTTP/1.0 without Host": ["GET /healthz HTTP/1.0\r\n\r\n", 400],
      "HTTP/1.0 without Host, to a method": [`POST ${SEND} HTTP/1.0\r\nContent-Type: application/json\r\n\r\n`, 400],
      "HTTP/1.1 without Host": [get(""), 400],
      "an empty Host": [get("Host:\r\n"), 400],
      "an empty Host, to a method": [`POST ${SEND} HTTP/1.1\r\nHost:\r\nContent-Type: application/json\r\n\r\n`, 400],
      "a Host with a space": [get("Host: a b\r\n"), 400],
      "a Host with a slash": [get("Host: localhost/x\r\n"), 400],
      "a Host with a user": [get("Host: root@localhost\r\n"), 400],
      "a Host that opens a bracket": [get("Host: [::1\r\n"), 400],
      "a Host with a port that is none": [get("Host: localhost:99999\r\n"), 400],
      "a Host with a bad escape": [get("Host: %zz\r\n"), 400],
      "a Host with a byte above 127": [get("Host: \xff\xfe\r\n"), 400],
      "two Hosts": [get("Host: localhost\r\nHost: evil.example\r\n"), 400],
      "the same Host twice": [get("Host: localhost\r\nHost: localhost\r\n"), 400],
      "a target in absolute form": [`GET http://localhost/healthz HTTP/1.1\r\n${LOCAL}\r\n`, 400],
      "the target *": [`OPTIONS * HTTP/1.1\r\n${LOCAL}\r\n`, 400],
      "a target that names another host": [`GET //evil.example/healthz HTTP/1.1\r\n${LOCAL}\r\n`, 404],
      CONNECT: [`CONNECT localhost:80 HTTP/1.1\r\n${LOCAL}\r\n`, 400],
      "a method in lower case": [`get /healthz HTTP/1.1\r\n${LOCAL}\r\n`, 400],
      "a method that is none": [`FETCH /healthz HTTP/1.1\r\n${LOCAL}\r\n`, 400],
      "HTTP/3.9": [`GET /healthz HTTP/3.9\r\n${LOCAL}\r\n`, 400],
      "a header without a colon": [get(`${LOCAL}nothing\r\n`), 400],
      "a space before the colon": [get(`${LOCAL}X : y\r\n`), 400],
      "a folded header": [get(`${LOCAL}X: a\r\n b\r\n`), 400],
      "NUL in a header": [get(`${LOCAL}X: a\0b\r\n`), 400],
      "lines that end in LF": ["GET /healthz HTTP/1.1\nHost: localhost\n\n", 400],
      "a bare CR in a header": [get(`${LOCAL}X: a\rb\r\n`), 400],
      "a header of 20 KB": [get(`${LOCAL}X: ${"x".repeat(20_000)}\r\n`), 431],
      "a path of 20 KB": [`GET /${"x".repeat(20_000)} HTTP/1.1\r\n${LOCAL}\r\n`, 431],
      "three thousand headers": [get(`${LOCAL}${"X: y\r\n".repeat(3000)}`), 431],
      "the beginning of a TLS handshake": ["\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400],
      "the preface of HTTP/2 with a wrong end": ["PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", 400],
      "garbage before a request": [`\x00\xff\x80garbage\r\n\r\n${get(LOCAL)}`, 400],
    };
    for (const [what, [bytes, status]] of Object.entries(heads)) {
      const [answer] = await answersTo(bus.port, bytes);
      expectRefusal(answer, status, what);
      await bus.unharmed(what);
    }
    // What is odd, but a request all the same.
    for (const head of [`Expect: unicorn\r\n${LOCAL}`, `Connection: Upgrade\r\nUpgrade: h2c\r\n${LOCAL}`]) {
      expect(await answersTo(bus.port, get(head)), head).toEqual([expect.objectContaining({ status: 200 })]);
    }
  });

  test("takes no request out of the body of another, whatever the framing says", async () => {
    const bus = await besiegedBus();
    const mail = JSON.stringify({ from: "thief", to: "smuggled", subject: "", body: "" });
    const inner = request("POST /api/send", mail);
    const post = (headers: string, body: string) => `POST /api/send HTTP/1.1\r\n${LOCAL}${headers}\r\n${body}`;
    const both = `Content-Length: ${inChunks(mail).length}\r\nTransfer-Encoding: chunked\r\n`;
    const length = mail.length;
    const framings: Record<string, [bytes: string, status: number]> = {
      "content-length and chunked": [post(both, inChunks(mail)), 400],
      "content-length 0 and chunked": [
        post("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", `0\r\n\r\n${inner}`),
        400,
      ],
      "chunked and a shorter content-length": [
        post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", inChunks(inner)),
        400,
      ],
      "two content-lengths": [post(`Content-Length: ${length}\r\nContent-Length: 0\r\n`, mail), 400],
      "one content-length twice": [post(`Content-Length: ${length}\r\nContent-Length: ${length}\r\n`, mail), 400],
      "a list as content-length": [post(`Content-Length: ${length}, ${length}\r\n`, mail), 400],
      "+ in content-length": [post(`Content-Length: +${length}\r\n`, mail), 400],
      "a hexadecimal content-length": [post(`Content-Length: 0x${length.toString(16)}\r\n`, mail), 400],
      "a negative content-length": [post("Content-Length: -1\r\n", mail), 400],
      "a fraction as content-length": [post(`Content-Length: ${length}.0\r\n`, mail), 400],
      "a content-length of 26 digits": [post(`Content-Length: ${"9".repeat(26)}\r\n`, mail), 400],
      "transfer-encoding identity": [post("Transfer-Encoding: identity\r\n", mail), 400],
      "chunked, then identity": [post("Transfer-Encoding: chunked, identity\r\n", inChunks(mail)), 400],
      "transfer-encoding xchunked": [post("Transfer-Encoding: xchunked\r\n", inChunks(mail)), 400],
      "transfer-encoding with a tab before the colon": [post("Transfer-Encoding\t: chunked\r\n", inChunks(mail)), 400],
      "a chunk size that is no number": [post("Transfer-Encoding: chunked\r\n", `zz\r\n${mail}\r\n0\r\n\r\n`), 400],
      "a negative chunk size": [post("Transfer-Encoding: chunked\r\n", `-1\r\n${mail}\r\n0\r\n\r\n`), 400],
      "a chunk size beyond 64 bits": [post("Transfer-Encoding: chunked\r\n", `${"f".repeat(17)}\r\n${mail}`), 400],
      "a chunk longer than it says": [post("Transfer-Encoding: chunked\r\n", `4\r\n${mail}\r\n0\r\n\r\n`), 400],
      "chunks that end in LF": [post("Transfer-Encoding: chunked\r\n", `${length.toString(16)}\n${mail}\n0\n\n`), 400],
      "a chunk extension of 20 KB": [post("Transfer-Encoding: chunked\r\n", `1;${"x".repeat(20_000)}\r\n{\r\n`), 400],
      "a request in the body of a GET": [request("GET /api/nothing", inner), 404],
      "a request in the body of what is not there": [request("POST /api/nothing", inner), 404],
      "a request in a body of a type not served": [request(`POST ${SEND}`, inner), 415],
      "a request in a body that is too large": [post("Content-Length: 4294967296\r\n", inner), 429],
    };
    for (const [what, [bytes, status]] of Object.entries(framings)) {
      const answers = await answersTo(bus.port, bytes, { another: true });
      expectRefusal(answers[0], status, what);
      expect(answers, what).toHaveLength(1);
      await bus.unharmed(what);
    }
    expect(await unreadOf(bus, "smuggled")).toEqual([]);
  });

  test("stores nothing of a request that is cut anywhere, by an end or by a reset", async () => {
    const bus = await besiegedBus();
    const mail = JSON.stringify({ from: "cutter", to: "cut", subject: "half", body: "a whole or nothing" });
    const wholes = [
      request("POST /api/send", mail),
      request(`POST ${SEND}`, mail, "Content-Type: application/json\r\n"),
      `POST /api/send HTTP/1.1\r\n${LOCAL}Transfer-Encoding: chunked\r\n\r\n${inChunks(mail)}`,
    ];
    for (const whole of wholes) {
      for (let cut = 1; cut < whole.length; cut += 7) {
        const socket = await RawSocket.open(bus.port);
        socket.send(whole.slice(0, cut));
        if (cut % 2 === 0) socket.finish();
        else setTimeout(() => socket.reset(), 5);
        expect(await socket.until((it) => it.ended, 2000), `cut at ${cut}`).toBe(true);
      }
      await bus.unharmed(whole.slice(0, 30));
    }
    expect(await unreadOf(bus, "cut")).toEqual([]);
    // The same bytes, whole, are mail: the cuts were what was wrong.
    for (const whole of wholes) expect((await answersTo(bus.port, whole))[0]?.status).toBe(200);
    expect(await unreadOf(bus, "cut")).toHaveLength(3);
  });

  test("never answers a good request with the refusal of the garbage behind it", async () => {
    const bus = await besiegedBus();
    const body = "\u0001".repeat(200_000);
    for (let n = 0; n < 5; n++) await bus.ok("Send", { from: "joe", to: "large", body });
    const goods: Record<string, string> = {
      "/api/send": request("POST /api/send", JSON.stringify({ from: "joe", to: "before", body: "" })),
      Send: request(
        `POST ${SEND}`,
        JSON.stringify({ from: "joe", to: "before" }),
        "Content-Type: application/json\r\n",
      ),
      "a large answer": request("GET /api/inbox/large"),
    };
    for (const [what, good] of Object.entries(goods)) {
      for (const garbage of ["GARBAGE\0\r\n\r\n", "\x16\x03\x01", `${"x".repeat(20_000)}`]) {
        const socket = await RawSocket.open(bus.port);
        socket.send(good + garbage);
        expect(await socket.until((it) => it.ended, 3000), what).toBe(true);
        // Either all of its own answer comes first, or the connection breaks: the outcome is then unknown, not a "no".
        expect(socket.received.toString("latin1", 0, 12), what).toMatch(/^(HTTP\/1.1 200)?$/);
        expect(socket.received.includes("HTTP/1.1 4", 1) && answersIn(socket.received).answers.length < 2, what).toBe(
          false,
        );
        await bus.unharmed(what);
      }
    }
  });

  test("lets go of callers who send garbage and never hang up", async () => {
    const bus = await besiegedBus();
    const before = openDescriptors(pidOf(bus));
    const stuck = await Promise.all(Array.from({ length: 100 }, () => RawSocket.open(bus.port, { half: true })));
    for (const [n, socket] of stuck.entries())
      socket.send(n % 2 === 0 ? "GARBAGE\r\n\r\n" : Buffer.concat([PREFACE, GARBAGE]));
    for (const socket of stuck) expect(await socket.until((it) => it.ended, 5000)).toBe(true);
    await expect.poll(() => openDescriptors(pidOf(bus)), { timeout: 5000 }).toBeLessThan(before + 10);
    await bus.unharmed("garbage on connections that stay open");
  });
});

const GARBAGE = Buffer.from("garbage garbage garbage garbage garbage garbage");

describe("bodies", () => {
  const jsonProtocols: Protocol[] = ["connect json", "grpc json"];

  /** Sends one JSON text through every door that takes JSON. */
  async function eachJsonDoor(
    bus: BesiegedBus,
    call: (door: string, caller: Caller, at: (json: Buffer) => object) => Promise<void>,
  ) {
    const http1 = overHttp1(bus.port);
    const http2 = overHttp2(bus.port);
    await call("/api/send", http1, (body) => ({ path: "/api/send", body }));
    for (const protocol of jsonProtocols) {
      const body = (json: Buffer) => (protocol === "grpc json" ? envelope(json) : json);
      await call(protocol, http2, (json) => callIn(protocol, "Send", body(json)));
    }
  }

  test("refuses JSON that is not a message, in the same words at every door", async () => {
    const bus = await besiegedBus();
    const deep = 100_000;
    const good = '"from":"joe","to":"jill"';
    const texts: Record<string, string | Buffer> = {
      nothing: "",
      "white space": " \n ",
      "half an object": `{${good}`,
      "something after the object": `{${good}}}`,
      "single quotes": "{'from':'joe'}",
      "a comment": `{/**/${good}}`,
      "a trailing comma": `{${good},}`,
      NaN: `{${good},"ttlSeconds":NaN}`,
      null: "null",
      "an array": `[{${good}}]`,
      "a string": '"joe"',
      "a number": "1",
      "a key that is unknown": `{${good},"subjekt":"x"}`,
      "a key in snake case that is unknown": `{${good},"reply_to":"x"}`,
      __proto__: `{${good},"__proto__":{"body":"x"}}`,
      constructor: `{${good},"constructor":{"prototype":{"body":"x"}}}`,
      toString: `{${good},"toString":"x"}`,
      "a key that is a lone surrogate": `{${good},"\\ud800":1}`,
      "a key of 1 MB": `{${good},"${"k".repeat(MIB)}":1}`,
      "an empty key": `{${good},"":1}`,
      "both names of a field": `{${good},"sender":"jim"}`,
      "a number for a name": '{"from":1,"to":"jill"}',
      "an object for a name": '{"from":{"name":"joe"},"to":"jill"}',
      "an array for a name": '{"from":["joe"],"to":"jill"}',
      "true for a body": `{${good},"body":true}`,
      "a text for a number": `{${good},"ttlSeconds":"soon"}`,
      "a fraction": `{${good},"ttlSeconds":1.5}`,
      "a number beyond 32 bits": `{${good},"ttlSeconds":4294967296}`,
      "a number beyond all": `{${good},"ttlSeconds":1e400}`,
      "a negative number": `{${good},"ttlSeconds":-1}`,
      "U+0000 in a body": `{${good},"body":"a\\u0000b"}`,
      "U+0000 in a subject": `{${good},"subject":"\\u0000"}`,
      "a lone high surrogate": `{${good},"body":"\\ud800"}`,
      "a lone low surrogate": `{${good},"body":"x\\udc00y"}`,
      "surrogates the wrong way round": `{${good},"body":"\\udc00\\ud800"}`,
      "a raw control character": `{${good},"body":"a\nb"}`,
      "a bad escape": `{${good},"body":"\\x41"}`,
      "UTF-8 cut in a character": Buffer.concat([
        Buffer.from(`{${good},"body":"`),
        Buffer.from([0xe2, 0x82]),
        Buffer.from('"}'),
      ]),
      "a byte that UTF-8 has not": Buffer.concat([
        Buffer.from(`{${good},"body":"`),
        Buffer.from([0xff]),
        Buffer.from('"}'),
      ]),
      "a surrogate in UTF-8": Buffer.concat([
        Buffer.from(`{${good},"body":"`),
        Buffer.from([0xed, 0xa0, 0x80]),
        Buffer.from('"}'),
      ]),
      "an overlong NUL": Buffer.concat([
        Buffer.from(`{${good},"body":"`),
        Buffer.from([0xc0, 0x80]),
        Buffer.from('"}'),
      ]),
      "UTF-16": Buffer.from(`\ufeff{${good}}`, "utf16le"),
      "arrays in arrays": "[".repeat(deep) + "]".repeat(deep),
      "arrays that stay open": "[".repeat(deep),
      "objects in objects": `${'{"from":'.repeat(deep)}1${"}".repeat(deep)}`,
      "a name of arrays in arrays": `{"from":${"[".repeat(deep)}${"]".repeat(deep)},"to":"jill"}`,
      "a name of 1 MB": `{"from":"${"n".repeat(MIB)}","to":"jill"}`,
      "a name with a line break": '{"from":"joe\\njim","to":"jill"}',
      "a name that is a path": '{"from":"../../etc/passwd","to":"jill"}',
      "a name that is SQL": `{"from":"joe'; drop table messages; --","to":"jill"}`,
      "the bus's own name": '{"from":"bus","to":"jill"}',
      "a name with the Kelvin sign": '{"from":"\u212aelvin","to":"jill"}',
    };
    await eachJsonDoor(bus, async (door, call, at) => {
      for (const [what, text] of Object.entries(texts)) {
        const reply = await call(at(Buffer.from(text)) as never);
        expect(expectRefused(reply, `${door}: ${what}`).code, `${door}: ${what}`).toBe("invalid_argument");
      }
      await bus.unharmed(`bad JSON at ${door}`);
    });
    expect(await unreadOf(bus, "jill")).toEqual([]);
  }, 60_000);

  test("refuses times, names of enums, texts and page tokens that are none, and numbers out of range", async () => {
    const bus = await besiegedBus();
    const http1 = overHttp1(bus.port);
    const http2 = overHttp2(bus.port);
    await bus.ok("Send", { from: "joe", to: "jack", body: "to be listed" });
    const wrongs: Record<string, object> = {
      "an unknown name of an enum": { box: "BOX_NOPE" },
      "an unknown number of an enum": { box: 99 },
      "a negative number of an enum": { box: -1 },
      "a time in words": { sinceTime: "yesterday" },
      "a time that no calendar has": { sinceTime: "2026-13-41T25:61:61Z" },
      "a time as a number": { untilTime: 1 },
      "a time before 1970": { sinceTime: "0001-01-01T00:00:00Z" },
      "a text without a word": { text: " !?* " },
      "a text with U+0000": { text: "a\0b" },
      "a text of 2000": { text: "a".repeat(2000) },
      "a page token that is none": { pageToken: "AAAA" },
      "a page token of another request": { pageToken: Buffer.from('["x","1"]').toString("base64url") },
      "a page token of SQL": { pageToken: Buffer.from('["x","1 or 1=1"]').toString("base64url") },
      "a page token that is no base64": { pageToken: "\u{1F600}" },
      "a negative page": { pageSize: -1 },
      "a negative cut": { maxBodyBytes: -1 },
      "a peer that is none": { peer: "'; drop table messages; --" },
    };
    for (const [what, wrong] of Object.entries(wrongs)) {
      const body = JSON.stringify({ agent: "jack", ...wrong });
      const refused = expectRefused(await http1(callIn("connect json", "ListMessages", body)), what);
      expect(refused.message, what).toMatch(/^INVALID_FIELD: /);
    }
    const MAX = 2n ** 63n - 1n;
    const outOfRange: Record<string, MessageInitShape<typeof ListMessagesRequestSchema>> = {
      "the last second of 64 bits": { sinceTime: { seconds: MAX, nanos: 0 } },
      "the first second of 64 bits": { sinceTime: { seconds: -MAX - 1n, nanos: 0 } },
      "nanoseconds below nothing": { untilTime: { seconds: 0n, nanos: -(2 ** 31) } },
      "an enum of 32 bits": { box: 2 ** 31 - 1 },
      "a page below nothing": { pageSize: -(2 ** 31) },
    };
    for (const [what, fields] of Object.entries(outOfRange)) {
      const message = create(ListMessagesRequestSchema, { agent: "jack", ...fields });
      const call = framedCall("grpc", "ListMessages", toBinary(ListMessagesRequestSchema, message));
      expect(expectRefused(await http2(call), what).code, what).toBe("invalid_argument");
    }
    // Words of the search engine's own language are words like any other.
    const text = "\"'*)( OR AND NEAR/3 ^ {listed} listed";
    expect((await bus.ok("ListMessages", { agent: "jack", text })).messages).toEqual([]);
    await bus.unharmed("values out of range");
  });

  test("takes JSON that is odd and right, and stores every character of it", async () => {
    const bus = await besiegedBus();
    const odd = [
      "\ufeffmark first",
      "a\ufffdb",
      "\u{1F600}\u{10FFFF}",
      "\u0001\u001f\u007f\u0085\u2028\u2029",
      "__proto__",
      "\\u0000",
      "𝔘\u0301",
    ];
    await eachJsonDoor(bus, async (door, call, at) => {
      for (const body of odd) {
        const reply = await call(at(Buffer.from(JSON.stringify({ from: "Joe", to: "ODD", body }))) as never);
        expect(refusedIn(reply), `${door}: ${JSON.stringify(body)}`).toBeUndefined();
      }
      const texts = [
        '\ufeff{"from":"joe","to":"odd"}',
        ' \r\n\t{ "from" : "joe" , "to" : "odd" }\n',
        '{"from":"j\\u006fe","to":"odd","subject":null}',
      ];
      for (const text of texts) {
        expect(refusedIn(await call(at(Buffer.from(text)) as never)), `${door}: ${text}`).toBeUndefined();
      }
      const { messages } = await bus.ok("PullInbox", { agent: "odd", markRead: true });
      expect(
        messages.map(({ body }: { body: string }) => body),
        door,
      ).toEqual([...odd, "", "", ""]);
      expect(new Set(messages.map(({ from, to }: { from: string; to: string }) => `${from} ${to}`))).toEqual(
        new Set(["joe odd"]),
      );
    });
    await bus.unharmed("odd JSON");
  });

  test("refuses binary messages that are cut or wrong, and keeps the characters of right ones", async () => {
    const bus = await besiegedBus();
    const http1 = overHttp1(bus.port);
    const http2 = overHttp2(bus.port);
    const names = Buffer.concat([sendBytes({ sender: "joe" }), sendBytes({ recipient: "jill" })]);
    const withField = (...bytes: number[]) => Buffer.concat([Buffer.from(bytes), names]);
    const wrongs: Record<string, Uint8Array> = {
      "a byte that UTF-8 has not": withField(0x22, 1, 0xff),
      "a surrogate in UTF-8": withField(0x22, 3, 0xed, 0xa0, 0x80),
      "an overlong NUL": withField(0x22, 2, 0xc0, 0x80),
      NUL: withField(0x22, 1, 0),
      "a name that is no UTF-8": Buffer.concat([Buffer.from([0x0a, 2, 0xc3, 0x28]), sendBytes({ recipient: "jill" })]),
      "field number 0": withField(0x02, 1, 65),
      "wire type 6": withField(0x26, 1, 65),
      "wire type 7": withField(0x27, 1, 65),
      "the end of no group": withField(0x7c),
      "a group that stays open": Buffer.concat([names, Buffer.from([0x7b])]),
      "sixty thousand groups": Buffer.alloc(60_000, 0x7b),
      "a varint of eleven bytes": Buffer.concat([names, Buffer.alloc(11, 0xff)]),
      "a length of -1": Buffer.concat([names, Buffer.from([0x22, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1])]),
      "a length of 2 GiB": Buffer.concat([names, Buffer.from([0x22, 255, 255, 255, 255, 7])]),
      "a number of -1": Buffer.concat([names, Buffer.from([0x30, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1])]),
    };
    // The recipient stands last: nothing that is cut has one.
    const whole = Buffer.concat([
      sendBytes({ body: "a body to be cut", sender: "joe" }),
      sendBytes({ recipient: "jill" }),
    ]);
    for (let cut = 0; cut < whole.length; cut++) wrongs[`cut at ${cut}`] = whole.subarray(0, cut);

    for (const protocol of ["connect proto", "grpc", "grpc-web"] as const) {
      for (const [what, bytes] of Object.entries(wrongs)) {
        const call = protocol === "grpc" ? http2 : http1;
        const refused = expectRefused(await call(framedCall(protocol, "Send", bytes)), `${protocol}: ${what}`);
        expect(refused.code, `${protocol}: ${what}`).toBe("invalid_argument");
      }
      await bus.unharmed(`bad messages in ${protocol}`);
    }
    expect(await unreadOf(bus, "jill")).toEqual([]);

    const bodies = ["\ufeffmark first", "\u{10FFFF}\u0001", "a\ufffdb"];
    for (const body of bodies) {
      const bytes = Buffer.concat([
        sendBytes({ sender: "joe", recipient: "jill", body }),
        Buffer.from([0xfa, 0x3f, 1, 65]),
      ]);
      expect(refusedIn(await http2(framedCall("grpc", "Send", bytes)))).toBeUndefined();
    }
    expect((await unreadOf(bus, "jill")).map((message) => (message as { body: string }).body)).toEqual(bodies);
  }, 60_000);

  test("refuses envelopes that are short, long, compressed in secret, doubled or missing, with a code of the protocol", async () => {
    const bomb = gzipSync(Buffer.alloc(100 * MIB));
    const bus = await besiegedBus();
    const call = overHttp2(bus.port);
    const message = sendBytes({ sender: "joe", recipient: "jill", body: "enveloped" });
    const zipped = gzipSync(message);
    const gzip = { "grpc-encoding": "gzip" };
    const cases: Record<string, [body: Buffer, code: string, headers?: Record<string, string>]> = {
      "nothing at all": [Buffer.alloc(0), "unimplemented"],
      "three bytes": [Buffer.from([0, 0, 0]), "invalid_argument"],
      "a length that is too long": [envelope(message, { length: message.length + 5 }), "invalid_argument"],
      "a length that is too short": [envelope(message, { length: message.length - 2 }), "invalid_argument"],
      "a length of 4 GiB": [envelope(message, { length: 0xffffffff }), "resource_exhausted"],
      "a length just above the limit": [envelope(message, { length: 4 * MIB + 1 }), "resource_exhausted"],
      "two messages": [Buffer.concat([envelope(message), envelope(message)]), "unimplemented"],
      "a message and half another": [
        Buffer.concat([envelope(message), envelope(message).subarray(0, 9)]),
        "invalid_argument",
      ],
      "the flag of compression, but no encoding": [envelope(zipped, { flags: COMPRESSED }), "invalid_argument"],
      "gzip that is none": [envelope(message, { flags: COMPRESSED }), "invalid_argument", gzip],
      "gzip that is cut": [envelope(zipped.subarray(0, -9), { flags: COMPRESSED }), "invalid_argument", gzip],
      "gzip without the flag": [envelope(zipped), "invalid_argument", gzip],
      "an encoding that nobody knows": [
        envelope(zipped, { flags: COMPRESSED }),
        "unimplemented",
        { "grpc-encoding": "lzma" },
      ],
      "a bomb": [envelope(bomb, { flags: COMPRESSED }), "resource_exhausted", gzip],
      "a time-out that is none": [envelope(message), "invalid_argument", { "grpc-timeout": "soon" }],
      "a time-out of nine digits": [envelope(message), "invalid_argument", { "grpc-timeout": "123456789S" }],
    };
    for (const protocol of ["grpc", "grpc-web"] as const) {
      for (const [what, [body, code, headers]] of Object.entries(cases)) {
        const refused = expectRefused(await call(callIn(protocol, "Send", body, headers)), `${protocol}: ${what}`);
        expect(refused.code, `${protocol}: ${what}: ${refused.message}`).toBe(code);
        await bus.unharmed(`${protocol}: ${what}`);
      }
    }
    expect(await unreadOf(bus, "jill")).toEqual([]);
  });

  test("unpacks no bomb and nothing that is not packed", async () => {
    const bomb = gzipSync(Buffer.alloc(100 * MIB, 32));
    const json = JSON.stringify({ from: "joe", to: "jill", body: "packed" });
    const cases: Record<string, [body: Uint8Array | string, encoding: string, code: string]> = {
      "a bomb in gzip": [bomb, "gzip", "resource_exhausted"],
      "a bomb in brotli": [brotliCompressSync(Buffer.alloc(20 * MIB, 32)), "br", "resource_exhausted"],
      "a bomb in a bomb": [gzipSync(bomb), "gzip", "invalid_argument"],
      "JSON that is not packed": [json, "gzip", "invalid_argument"],
      "gzip that is cut": [gzipSync(json).subarray(0, -9), "gzip", "invalid_argument"],
      "gzip with a wrong sum": [
        Buffer.concat([gzipSync(json).subarray(0, -8), Buffer.alloc(8)]),
        "gzip",
        "invalid_argument",
      ],
      "nothing, called gzip": ["", "gzip", "invalid_argument"],
      "brotli called gzip": [brotliCompressSync(json), "gzip", "invalid_argument"],
      "gzip called brotli": [gzipSync(json), "br", "invalid_argument"],
      "gzip, not said": [gzipSync(json), "identity", "invalid_argument"],
      "an encoding that nobody knows": [gzipSync(json), "lzma", "unimplemented"],
      "two encodings": [gzipSync(gzipSync(json)), "gzip, gzip", "unimplemented"],
    };
    const bus = await besiegedBus();
    const call = overHttp1(bus.port);
    const before = residentMemory(pidOf(bus));
    for (const [what, [body, encoding, code]] of Object.entries(cases)) {
      const reply = await call(callIn("connect json", "Send", body, { "content-encoding": encoding }));
      const refused = refusedIn(reply);
      if (refused === undefined) throw new Error(`${what} was taken`);
      expectDecent(refused, what);
      expect(refused.code, what).toBe(code);
      await bus.unharmed(what);
    }
    expect(residentMemory(pidOf(bus)) - before).toBeLessThan(MAX_GROWTH_MIB);
    expect(await unreadOf(bus, "jill")).toEqual([]);
  });

  test("refuses a request of a million pieces before it decodes it, and takes the largest that is right", async () => {
    const bus = await besiegedBus();
    const http1 = overHttp1(bus.port);
    const http2 = overHttp2(bus.port);
    const size = 4 * MIB - 100;
    const many = (piece: string, most = Math.floor(size / piece.length)) => piece.repeat(most);
    const batch = Buffer.from(many("\x0a\x00"), "latin1");
    const groups = Buffer.concat([Buffer.from([0x7b, 0x22, 0x00, 0x7c]), batch]);
    const batchJson = `{"requests":[${many("{},")}{}]}`;
    const idsJson = `{"agent":"joe","messageIds":[${many('"",')}""]}`;
    const gzip = { "content-encoding": "gzip" };
    const grpcGzip = { "grpc-encoding": "gzip" };
    const calls: Record<string, [call: ReturnType<typeof callIn>, over: Caller]> = {
      "empty messages": [callIn("connect proto", "SendBatch", batch), http1],
      "empty messages behind what looks like JSON": [callIn("connect proto", "SendBatch", groups), http1],
      "empty messages in gzip": [callIn("connect proto", "SendBatch", gzipSync(batch), gzip), http1],
      "empty messages in gRPC": [framedCall("grpc", "SendBatch", batch), http2],
      "empty messages in gRPC, with flags that mean nothing": [
        callIn("grpc", "SendBatch", envelope(batch, { flags: 2 })),
        http2,
      ],
      "empty messages in gRPC and gzip": [
        callIn("grpc", "SendBatch", envelope(gzipSync(batch), { flags: COMPRESSED }), grpcGzip),
        http2,
      ],
      "empty ids": [framedCall("grpc-web", "Ack", Buffer.from(many("\x12\x00"), "latin1")), http1],
      "unknown fields": [callIn("connect proto", "Send", Buffer.from(many("\xf8\x3f\x00"), "latin1")), http1],
      "empty objects": [callIn("connect json", "SendBatch", batchJson), http1],
      "empty objects in gzip": [callIn("connect json", "SendBatch", gzipSync(batchJson), gzip), http1],
      "empty objects in gRPC": [callIn("grpc json", "SendBatch", envelope(Buffer.from(batchJson))), http2],
      "empty texts": [callIn("connect json", "Ack", idsJson), http1],
      "commas after a text that ends in a backslash": [
        callIn("connect json", "Send", `{"\\\\":[${many("1,")}1]}`),
        http1,
      ],
      "empty objects to /api/send": [{ path: "/api/send", body: batchJson }, http1],
    };
    for (const [what, [call, over]] of Object.entries(calls)) {
      const refused = expectRefused(await over(call), what);
      expect(refused.code, what).toBe("resource_exhausted");
      expect(refused.message, what).toMatch(/^REQUEST_TOO_LARGE: a request may have \d+ (values|fields)/);
      await bus.unharmed(what);
    }

    const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const body = ",{}[]:".repeat(500);
    const large = { subject: "s", body, inReplyTo: "x", ttlSeconds: 60, traceparent };
    const json = Array.from({ length: 1000 }, (_, n) => ({ ...large, from: "joe", to: "many", requestId: `j${n}` }));
    expect((await bus.ok("SendBatch", { requests: json })).results).toHaveLength(1000);
    const requests = json.map(({ from: sender, to: recipient, ...rest }, n) => ({
      ...rest,
      sender,
      recipient,
      requestId: `b${n}`,
    }));
    const bytes = toBinary(SendBatchRequestSchema, create(SendBatchRequestSchema, { requests }));
    expect(refusedIn(await http2(framedCall("grpc", "SendBatch", bytes)))).toBeUndefined();
    const packed = callIn("grpc", "SendBatch", envelope(gzipSync(bytes), { flags: COMPRESSED }), grpcGzip);
    expect(refusedIn(await http2(packed))).toBeUndefined();
    const noise = Array.from({ length: 60_000 }, (_, n) => String.fromCodePoint(0x4e00 + ((n * 7919) % 20_000))).join(
      "",
    );
    const unpackable = sendBytes({ sender: "joe", recipient: "noise", body: noise });
    expect(gzipSync(unpackable).length).toBeGreaterThan(64 * 1024);
    const noisy = callIn("grpc", "Send", envelope(gzipSync(unpackable), { flags: COMPRESSED }), grpcGzip);
    expect(refusedIn(await http2(noisy))).toBeUndefined();
    const messageIds = Array.from({ length: 1000 }, (_, n) => `id-${n}`);
    expect(await bus.ok("Ack", { agent: "many", messageIds })).toMatchObject({ ackedCount: 0 });
    await bus.unharmed("large batches");
  }, 60_000);

  test("refuses bodies of 50 MB and of 4 GiB at every door without holding them", async () => {
    const bus = await besiegedBus();
    const before = residentMemory(pidOf(bus));
    const piece = Buffer.alloc(MIB, 0x61);
    const heads: Record<string, string> = {
      "/api/send": "POST /api/send HTTP/1.1\r\n",
      "Connect JSON": `POST ${SEND} HTTP/1.1\r\nContent-Type: application/json\r\n`,
      "Connect binary": `POST ${SEND} HTTP/1.1\r\nContent-Type: application/proto\r\n`,
    };
    for (const [door, head] of Object.entries(heads)) {
      for (const chunked of [false, true]) {
        const what = `${door}, 50 MB ${chunked ? "in chunks" : "announced"}`;
        const socket = await RawSocket.open(bus.port);
        socket.send(`${head}${LOCAL}${chunked ? "Transfer-Encoding: chunked" : `Content-Length: ${50 * MIB}`}\r\n\r\n`);
        for (let sent = 0; sent < 50; sent++)
          socket.send(chunked ? Buffer.concat([Buffer.from("100000\r\n"), piece, CRLF]) : piece);
        if (chunked) socket.send("0\r\n\r\n");
        await socket.until((it) => answersIn(it.received).answers.length > 0 || it.ended, 5000);
        expect(expectRefusal(answersIn(socket.received).answers[0], 429, what).code, what).toBe("resource_exhausted");
        socket.destroy();
        await bus.unharmed(what);
      }
      const [announced] = await answersTo(bus.port, `${head}${LOCAL}Content-Length: 4294967296\r\n\r\n{`);
      expect(expectRefusal(announced, 429, `${door}, 4 GiB announced`).code).toBe("resource_exhausted");
    }
    for (const protocol of ["grpc", "grpc-web"] as const) {
      const call = overHttp2(bus.port);
      const reply = await call(callIn(protocol, "Send", envelope(Buffer.alloc(50 * MIB, 0x61))));
      expect(expectRefused(reply, `${protocol}, 50 MB`).code).toBe("resource_exhausted");
      await bus.unharmed(`${protocol}, 50 MB`);
    }
    const call = overHttp2(bus.port);
    for (const path of ["/api/send", SEND]) {
      const headers = { "content-type": "application/json" };
      expect(expectRefused(await call({ path, headers, body: Buffer.alloc(50 * MIB, 0x61) }), path).code).toBe(
        "resource_exhausted",
      );
      await bus.unharmed(`${path} over HTTP/2, 50 MB`);
    }
    expect(residentMemory(pidOf(bus)) - before).toBeLessThan(MAX_GROWTH_MIB);
  }, 60_000);
});

const CRLF = Buffer.from("\r\n");

describe("HTTP/2", () => {
  const settings = frame(Type.SETTINGS, 0, 0);
  const send = callHeaders("Send", "application/json");
  const get = (...more: [string, string][]) =>
    headerBlock([[":method", "GET"], [":scheme", "http"], [":authority", "localhost"], [":path", "/healthz"], ...more]);
  const headers = (block: Uint8Array, flags = END_HEADERS | END_STREAM) => frame(Type.HEADERS, flags, 1, block);

  test("closes a connection whose frames are wrong, and none but that", async () => {
    const bus = await besiegedBus();
    const before = openDescriptors(pidOf(bus));
    const wrongs: Record<string, Buffer> = {
      garbage: GARBAGE,
      "PING before SETTINGS": frame(Type.PING, 0, 0, Buffer.alloc(8)),
      "SETTINGS of five bytes": frame(Type.SETTINGS, 0, 0, Buffer.alloc(5)),
      "SETTINGS of a stream": frame(Type.SETTINGS, 0, 1, Buffer.alloc(6)),
      "an acknowledgement with content": Buffer.concat([settings, frame(Type.SETTINGS, ACK, 0, Buffer.alloc(6))]),
      "a frame size of 0": frame(Type.SETTINGS, 0, 0, setting(5, 0)),
      "a window of 2 GiB": frame(Type.SETTINGS, 0, 0, setting(4, 0x80000000)),
      "DATA of no stream": Buffer.concat([settings, frame(Type.DATA, 0, 0, Buffer.alloc(5))]),
      "DATA of a stream that is idle": Buffer.concat([settings, frame(Type.DATA, 0, 5, Buffer.alloc(5))]),
      "HEADERS of an even stream": Buffer.concat([settings, frame(Type.HEADERS, END_HEADERS, 2, send)]),
      "HEADERS of no stream": Buffer.concat([settings, frame(Type.HEADERS, END_HEADERS, 0, send)]),
      "CONTINUATION of nothing": Buffer.concat([settings, frame(Type.CONTINUATION, END_HEADERS, 1, send)]),
      "DATA amid HEADERS": Buffer.concat([
        settings,
        headers(send, 0),
        frame(Type.DATA, END_STREAM, 1, Buffer.alloc(3)),
      ]),
      "an index beyond HPACK's table": Buffer.concat([settings, headers(Buffer.alloc(6, 0xff))]),
      "index 0 of HPACK's table": Buffer.concat([settings, headers(Buffer.from([0x80]))]),
      "a window update of 0": Buffer.concat([settings, frame(Type.WINDOW_UPDATE, 0, 0, u32(0))]),
      "a window beyond its limit": Buffer.concat([settings, frame(Type.WINDOW_UPDATE, 0, 0, u32(0x7fffffff))]),
      "PUSH_PROMISE of a client": Buffer.concat([
        settings,
        frame(Type.PUSH_PROMISE, END_HEADERS, 1, Buffer.concat([u32(2), send])),
      ]),
      "more padding than frame": Buffer.concat([
        settings,
        headers(send, END_HEADERS),
        frame(Type.DATA, PADDED, 1, Buffer.from([200, 1, 2])),
      ]),
      "a frame of 16 MB": Buffer.concat([settings, frame(Type.DATA, 0, 1, Buffer.alloc(0), 0xffffff)]),
      "RST_STREAM of a stream that is idle": Buffer.concat([settings, frame(Type.RST_STREAM, 0, 1, u32(8))]),
      "RST_STREAM of three bytes": Buffer.concat([settings, frame(Type.RST_STREAM, 0, 1, Buffer.alloc(3))]),
      "PING of seven bytes": Buffer.concat([settings, frame(Type.PING, 0, 0, Buffer.alloc(7))]),
      "DATA after the end": Buffer.concat([
        settings,
        headers(send),
        frame(Type.DATA, END_STREAM, 1, Buffer.from("{}")),
      ]),
    };
    for (const [what, bytes] of Object.entries(wrongs)) {
      const socket = await RawSocket.open(bus.port, { half: true });
      socket.send(PREFACE).send(bytes);
      expect(await socket.until((it) => it.ended, 3000), what).toBe(true);
      await bus.unharmed(what);
    }
    await expect.poll(() => openDescriptors(pidOf(bus)), { timeout: 5000 }).toBeLessThan(before + 10);
  });

  test("resets or refuses a call whose headers are wrong, and serves the next one on the connection", async () => {
    const bus = await besiegedBus();
    const pseudo = (...fields: [string, string][]) => headerBlock(fields);
    const wrongs: Record<string, Buffer> = {
      "no path": headers(pseudo([":method", "GET"], [":scheme", "http"], [":authority", "localhost"])),
      "two paths": headers(get([":path", "/readyz"])),
      "two authorities": headers(get([":authority", "evil.example"])),
      "two hosts": headers(
        pseudo([":method", "GET"], [":scheme", "http"], [":path", "/healthz"], ["host", "localhost"], ["host", "b"]),
      ),
      "no authority and no host": headers(pseudo([":method", "GET"], [":scheme", "http"], [":path", "/healthz"])),
      "a host with a space": headers(
        pseudo([":method", "GET"], [":scheme", "http"], [":path", "/healthz"], ["host", "a b"]),
      ),
      "an empty authority": headers(
        pseudo([":method", "GET"], [":scheme", "http"], [":authority", ""], [":path", "/healthz"]),
      ),
      "an empty path": headers(
        pseudo([":method", "GET"], [":scheme", "http"], [":authority", "localhost"], [":path", ""]),
      ),
      "a header in upper case": headers(get(["X-Upper", "y"])),
      "a header of HTTP/1.1": headers(get(["connection", "close"])),
      "a content-length that lies": Buffer.concat([
        headers(Buffer.concat([send, headerBlock([["content-length", "100"]])]), END_HEADERS),
        frame(Type.DATA, END_STREAM, 1, Buffer.from("{}")),
      ]),
      "a pseudo-header in the trailers": Buffer.concat([
        headers(send, END_HEADERS),
        frame(Type.DATA, 0, 1, Buffer.from('{"from":"joe","to":"jill"}')),
        headers(headerBlock([[":path", "/"]])),
      ]),
    };
    for (const [what, bytes] of Object.entries(wrongs)) {
      const socket = await RawSocket.open(bus.port);
      socket.send(PREFACE).send(settings).send(bytes);
      const reset = frame(Type.RST_STREAM, 0, 1, u32(1));
      expect(await socket.until((it) => it.received.includes(reset), 3000), what).toBe(true);
      socket.send(frame(Type.HEADERS, END_HEADERS | END_STREAM, 3, get()));
      expect(await socket.until((it) => it.received.includes('{"status":"ok"'), 3000), `after ${what}`).toBe(true);
      socket.destroy();
      await bus.unharmed(what);
    }
    expect(await unreadOf(bus, "jill")).toEqual([]);

    const call = overHttp2(bus.port);
    const refusals: Record<string, [Parameters<Caller>[0], number]> = {
      "the path *": [{ path: "*", method: "OPTIONS" }, 400],
      "a path that names another host": [{ path: "//evil.example/healthz", method: "GET" }, 404],
      "a path of 20 KB": [{ path: `/${"x".repeat(20_000)}`, method: "GET" }, 404],
      "an unknown method of HTTP": [{ path: SEND, method: "BREW" }, 405],
    };
    for (const [what, [wrong, status]] of Object.entries(refusals)) {
      const reply = await call(wrong);
      expectRefused(reply, what);
      expect(reply.status, what).toBe(status);
      await bus.unharmed(what);
    }
    // Node's own client sends no CONNECT with a path, as an ordinary one is.
    const socket = await RawSocket.open(bus.port);
    socket
      .send(PREFACE)
      .send(settings)
      .send(headers(pseudo([":method", "CONNECT"], [":authority", "localhost"])));
    expect(await socket.until((it) => it.received.includes('"code":"invalid_argument"'), 3000)).toBe(true);
    await bus.unharmed("CONNECT");
  });

  test("withstands floods of frames with bounded memory", async () => {
    const bus = await besiegedBus();
    const before = residentMemory(pidOf(bus));
    const repeated = (each: (n: number) => Buffer, times = 20_000) =>
      Buffer.concat(Array.from({ length: times }, (_, n) => each(n)));
    const open = (n: number) => frame(Type.HEADERS, END_HEADERS, 2 * n + 1, send);
    const floods: Record<string, Buffer> = {
      "calls that are reset at once": repeated(
        (n) => Buffer.concat([open(n), frame(Type.RST_STREAM, 0, 2 * n + 1, u32(8))]),
        5000,
      ),
      // More than the bus works on at once by default: it must not count them as work.
      "calls that never get a body": repeated(open, 3000),
      "calls without a path": repeated((n) =>
        frame(Type.HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, headerBlock([[":method", "GET"]])),
      ),
      SETTINGS: repeated(() => settings),
      PING: repeated(() => frame(Type.PING, 0, 0, Buffer.alloc(8))),
      PRIORITY: repeated((n) => frame(Type.PRIORITY, 0, 2 * n + 1, Buffer.from([0, 0, 0, 0, 5]))),
      WINDOW_UPDATE: repeated(() => frame(Type.WINDOW_UPDATE, 0, 0, u32(1))),
      "empty DATA": Buffer.concat([headers(send, END_HEADERS), repeated(() => frame(Type.DATA, 0, 1))]),
      "empty CONTINUATION": Buffer.concat([headers(send, 0), repeated(() => frame(Type.CONTINUATION, 0, 1))]),
      "CONTINUATION of 15 MB": Buffer.concat([
        headers(send, 0),
        ...Array.from({ length: 1000 }, () => frame(Type.CONTINUATION, 0, 1, headerBlock([["x", "y".repeat(15_000)]]))),
      ]),
    };
    for (const [what, bytes] of Object.entries(floods)) {
      const socket = await RawSocket.open(bus.port);
      socket.send(PREFACE).send(settings).send(bytes);
      await socket.until((it) => it.ended, 400);
      await bus.unharmed(what);
      socket.destroy();
    }
    expect(residentMemory(pidOf(bus)) - before).toBeLessThan(MAX_GROWTH_MIB);
  }, 60_000);

  test("stores nothing of a call that is cut anywhere", async () => {
    const bus = await besiegedBus();
    const mail = Buffer.from(
      JSON.stringify({ from: "cutter", to: "cut2", subject: "half", body: "a whole or nothing" }),
    );
    const whole = Buffer.concat([PREFACE, settings, headers(send, END_HEADERS), frame(Type.DATA, END_STREAM, 1, mail)]);
    for (let cut = 1; cut < whole.length; cut += 5) {
      const socket = await RawSocket.open(bus.port);
      socket.send(whole.subarray(0, cut));
      if (cut % 2 === 0) socket.finish();
      else setTimeout(() => socket.reset(), 5);
      expect(await socket.until((it) => it.ended, 2000), `cut at ${cut}`).toBe(true);
    }
    await bus.unharmed("cut calls");
    expect(await unreadOf(bus, "cut2")).toEqual([]);
  });
});

describe("paths", () => {
  test("refuses names in the path and queries that are none, and reads none but the one that is asked", async () => {
    const bus = await besiegedBus();
    const wrongs: Record<string, [path: string, status: number]> = {
      "a byte that UTF-8 has not": ["/api/inbox/%ff", 400],
      "a surrogate in UTF-8": ["/api/inbox/%ed%a0%80", 400],
      "half an escape": ["/api/inbox/%2", 400],
      "an escape of no digits": ["/api/inbox/%zz", 400],
      NUL: ["/api/inbox/%00", 400],
      "a slash": ["/api/inbox/vault%2f..", 400],
      "a name with a space": ["/api/inbox/va%20ult", 400],
      "a line break": ["/api/inbox/vault%0d%0aX:%20y", 400],
      "a name of 15 KB": [`/api/inbox/${"n".repeat(15_000)}`, 400],
      "a name of 65": [`/api/inbox/${"n".repeat(65)}`, 400],
      "no name": ["/api/inbox/", 404],
      "two names": ["/api/inbox/vault/vault", 404],
      "a dot segment": ["/api/inbox/../vault", 404],
      "an escaped dot segment": ["/api/inbox/%2e%2e/vault", 404],
      "the name of all": ["/api/inbox/ALL", 400],
      "the bus's own name": ["/api/inbox/bus", 400],
      "a parameter that is unknown": ["/api/inbox/vault?mark_raed=true", 400],
      "mark_read that is neither": ["/api/inbox/vault?mark_read=yes", 400],
      "an empty number": ["/api/inbox/vault?wait_seconds=", 400],
      "a number that is none": ["/api/inbox/vault?max_messages=many", 400],
      "a number in hexadecimal": ["/api/inbox/vault?max_messages=0x1", 400],
      "a number beyond 32 bits": ["/api/inbox/vault?max_messages=9999999999", 400],
      "a negative number": ["/api/inbox/vault?wait_seconds=-1", 400],
      "a request_id that is empty": ["/api/inbox/vault?mark_read=true&request_id=", 400],
      "a request_id of 15 KB": [`/api/inbox/vault?mark_read=true&request_id=${"r".repeat(15_000)}`, 400],
      "a request_id with a bad escape": ["/api/inbox/vault?mark_read=true&request_id=%ff%00", 400],
      "__proto__ as a parameter": ["/api/inbox/vault?__proto__=1", 400],
      "GET with a bad escape": [`/agentbus.v1.MessageBus/ListAgents?encoding=json&message=%ff`, 400],
      "GET with bad base64": ["/agentbus.v1.MessageBus/ListAgents?encoding=proto&base64=1&message=!!!!", 400],
      "GET with a bad message": ["/agentbus.v1.MessageBus/ListAgents?encoding=proto&base64=1&message=_____w", 400],
      "GET with an unknown field": ["/agentbus.v1.MessageBus/ListAgents?encoding=json&message=%7B%22x%22%3A1%7D", 400],
      "GET with gzip that is none": [
        "/agentbus.v1.MessageBus/ListAgents?encoding=json&compression=gzip&message=%7B%7D",
        400,
      ],
      "GET without a message": ["/agentbus.v1.MessageBus/ListAgents", 415],
      "GET with an unknown encoding": ["/agentbus.v1.MessageBus/ListAgents?encoding=xml&message=x", 415],
      "GET of what changes something": [`${SEND}?encoding=json&message=%7B%7D`, 405],
      "a service that is none": ["/agentbus.v2.MessageBus/Send", 404],
    };
    for (const [what, [path, status]] of Object.entries(wrongs)) {
      const [answer] = await answersTo(bus.port, `GET ${path} HTTP/1.1\r\n${LOCAL}\r\n`);
      expectRefusal(answer, status, what);
      await bus.unharmed(what);
    }
  });
});
