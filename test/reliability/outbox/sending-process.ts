/**
 * One process of an agent, to be killed at any time: sends letters one after the other through the outbox, and says on
 * stdout what each was answered. Arguments: outbox file, URL, agent, the name of this process, how many letters, pause in
 * ms, and before which letter it waits for a word on stdin.
 */
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { connectBus } from "#dist/client/connect-bus.js";
import { liveSendOver } from "#dist/client/outbox/live-send.js";
import { OutboxSender } from "#dist/client/outbox/outbox-sender.js";

const [file = "", url = "", agent = "", name = "", count = "", pauseMs = "", waitsAt = ""] = process.argv.slice(2);
const urls = [url];
const live = liveSendOver(connectBus({ urls, timeoutMs: 10_000 }));
const sender = new OutboxSender({ file, urls, live });

for (let n = 0; n < Number(count); n++) {
  if (n === Number(waitsAt)) await once(process.stdin, "data");
  const subject = `${name}/${n}`;
  const body = `${subject} ${"x".repeat((n * 397) % 5000)}`;
  const { status } = await sender.send({ sender: agent, recipient: "inbox", subject, body, requestId: subject });
  process.stdout.write(`${JSON.stringify({ subject, status })}\n`);
  if (Number(pauseMs) > 0) await sleep(Math.random() * Number(pauseMs));
}
sender.close();
process.stdin.destroy();
