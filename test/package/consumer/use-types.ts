/** A program of a stranger, in TypeScript: it is compiled, never run. */
import {
  type BusAddress,
  Code,
  ConnectError,
  connectBus,
  DeliveryState,
  type Message,
  UnreachableError,
} from "agentbus";
import { ErrorInfoSchema, MessageBus, type SendRequest, SendRequestSchema } from "agentbus/gen";
import { startTestBus, type TestBusFlags } from "agentbus/testing";

const address: BusAddress = { urls: ["http://127.0.0.1:8091"] };
const flags: TestBusFlags = { rateLimit: "2/min", unknownRecipients: "reject" };
// @ts-expect-error A flag that there is not.
const misspelled: TestBusFlags = { ratelimit: "2/min" };

export async function work(): Promise<Message[]> {
  await using bus = await startTestBus(flags);
  const client = connectBus({ ...address, urls: [bus.url] });
  const { id, recipientKnown } = await client.send({ sender: "joe", recipient: "jack", body: "x" });
  const known: boolean = recipientKnown;
  // @ts-expect-error A field that there is not.
  await client.send({ sender: "joe", recipient: "jack", boddy: "x" });
  try {
    const { message } = await bus.client("jack").rpc.getMessage({ agent: "jack", messageId: id });
    return message?.state === DeliveryState.UNREAD && known ? [message] : [];
  } catch (error) {
    if (error instanceof ConnectError && error.code === Code.NotFound) {
      const reasons: string[] = error.findDetails(ErrorInfoSchema).map(({ reason }) => reason);
      throw new Error(reasons.join());
    }
    if (error instanceof UnreachableError) throw new Error(error.attempts.map(({ url }) => url).join());
    throw error;
  }
}

export const names = [MessageBus.typeName, SendRequestSchema.typeName, Object.keys(misspelled)];
export type Asked = SendRequest["recipient"];
