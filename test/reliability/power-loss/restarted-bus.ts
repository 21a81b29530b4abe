/** Asks the bus itself, started on what a power loss left, for what was promised. */
import { dirname } from "node:path";
import { startBus } from "../../start-bus.ts";
import type { Promised } from "./clients.ts";

/** The newest promises are the ones in danger. */
const NEWEST = 5;

/** What is wrong, in words. */
export async function askRestartedBus(file: string, promised: readonly Promised[]): Promise<string[]> {
  const bus = await startBus({}, dirname(file)).catch((error: unknown) => String(error));
  if (typeof bus === "string") return [`the bus does not start: ${bus}`];
  const faults: string[] = [];
  for (const one of promised.slice(-NEWEST)) {
    if (one.kind === "stored") {
      const agent = one.text.slice(0, one.text.indexOf("#"));
      const { status, body } = await bus.call("GetMessage", { agent, messageId: one.id });
      if (status !== 200 || body.message.body !== one.text)
        faults.push(`GetMessage of ${one.id}: ${JSON.stringify(body)}`);
    } else if (one.kind === "read") {
      const { body } = await bus.call("Ack", { agent: one.agent, messageIds: [one.id] });
      if (body.ackedCount !== 1) faults.push(`the Ack of ${one.id} again: ${JSON.stringify(body)}`);
    }
  }
  const { status, body } = await bus.call("RegisterAgent", { agent: "later" });
  if (status !== 200) faults.push(`a write afterwards: ${JSON.stringify(body)}`);
  await bus.stop();
  return faults;
}
