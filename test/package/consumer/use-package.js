/** A program of a stranger, in JavaScript: what it finds out, it prints as JSON. */
import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { BusRefusal, ConnectError, connectBus, UnreachableError } from "agentbus";
import { ErrorInfoSchema, MessageBus } from "agentbus/gen";
import { startTestBus } from "agentbus/testing";

const bus = await startTestBus({ rateLimit: "1/min", token: "secret" });
const joe = bus.client("joe");
await joe.send({ to: "jack", body: "Handle blog publishing" });
const { messages } = await joe.rpc.pullInbox({ agent: "jack" });
const refused = await joe.rpc.getReceipt({ messageId: "none" }).catch((error) => error);

const client = connectBus({ urls: [bus.url], token: "secret" });
const limited = await client.send({ sender: "joe", recipient: "jack" }).catch((error) => error);
const [info] = limited instanceof ConnectError ? limited.findDetails(ErrorInfoSchema) : [];
await bus.close();

const gone = await client.listAgents({}).catch((error) => error);
const hidden = await import("agentbus/dist/cli/main.js").catch((error) => error);
const report = {
  service: MessageBus.typeName,
  pulled: messages.map(({ body }) => body),
  refused: refused instanceof BusRefusal && refused.reason,
  limited: info?.reason,
  unreachable: gone instanceof UnreachableError,
  hidden: hidden.code,
  leftBehind: readdirSync(tmpdir()).filter((name) => name.startsWith("agentbus-")),
};
process.stdout.write(JSON.stringify(report));
