/** A program of a stranger, in JavaScript: what it finds out, it prints as JSON. */
import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { Code, ConnectError, connectBus, UnreachableError } from "agentbus";
import { ErrorInfoSchema, MessageBus } from "agentbus/gen";
import { startTestBus } from "agentbus/testing";

const bus = await startTestBus({ rateLimit: "1/min", token: "secret" });
const client = connectBus({ urls: [bus.url], token: "secret" });
await client.send({ sender: "joe", recipient: "jack", body: "Handle blog publishing" });
const { messages } = await bus.rpc.pullInbox({ agent: "jack" });
const refused = await client.send({ sender: "joe", recipient: "jack" }).catch((error) => error);
const [info] = refused instanceof ConnectError ? refused.findDetails(ErrorInfoSchema) : [];
await bus.close();

const gone = await client.listAgents({}).catch((error) => error);
const hidden = await import("agentbus/dist/cli/main.js").catch((error) => error);
const report = {
  service: MessageBus.typeName,
  pulled: messages.map(({ body }) => body),
  refused: [refused.code === Code.ResourceExhausted, info?.reason],
  unreachable: gone instanceof UnreachableError,
  hidden: hidden.code,
  leftBehind: readdirSync(tmpdir()).filter((name) => name.startsWith("agentbus-")),
};
process.stdout.write(JSON.stringify(report));
