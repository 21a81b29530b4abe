/** What doctor asks a bus that answers: token, name, clock, version. It must not change anything there. */
import type { Agent } from "#gen/agentbus/v1/agent_pb.js";
import type { MessageBusClient } from "../client/connect-bus.ts";
import type { Settings } from "../config.ts";
import { BUS, foldName, MAX_PAGE_SIZE } from "../message.ts";
import { packageVersion } from "../server/package-version.ts";
import { answerOf, busOf } from "./call-bus.ts";
import type { Address } from "./check-address.ts";
import { type Check, fail, ok, warn } from "./doctor-check.ts";
import { durationText } from "./duration.ts";
import { Failure } from "./failure.ts";

/** A request_id lives for weeks, but a person who compares times is misled sooner. */
const MAX_CLOCK_MS = 5000;

export async function checkBus(settings: Settings, address: Address): Promise<Check[]> {
  const bus = busOf(settings);
  const token = await checkToken(settings, bus);
  const beyond = token.status === "fail" ? [] : [await checkAgent(settings, bus)];
  return [checkReady(address), checkVersion(address), checkClock(address), token, ...beyond];
}

function checkReady({ ready }: Address): Check {
  if (ready === "ok") return ok("store", "the bus can read and write its store");
  return fail("store", `the bus is not ready: ${ready ?? "it does not say why"}; look at its log and its disk`);
}

function checkVersion({ version }: Address): Check {
  const own = packageVersion();
  if (version === own) return ok("version", `${own}, here and there`);
  return warn("version", `${own} here, ${version ?? "an unknown one"} there: use the same`);
}

function checkClock({ clockAheadMs }: Address): Check {
  if (clockAheadMs === undefined) return warn("clock", "the bus's answer has no Date: a proxy may have taken it away");
  const off = Math.abs(clockAheadMs);
  if (off <= MAX_CLOCK_MS) return ok("clock", "within 5 s of the bus's");
  const where = clockAheadMs > 0 ? "behind" : "ahead of";
  return warn("clock", `${durationText(off)} ${where} the bus's: set both by NTP, or times of mail will puzzle you`);
}

async function checkToken(settings: Settings, bus: MessageBusClient): Promise<Check> {
  const refused = await failureOf(bus.listAgents({ pageSize: 1 }));
  if (refused?.document.reason === "TOKEN_MISSING") {
    return fail("token", "the bus wants one and there is none: set AGENTBUS_TOKEN, or give --token");
  }
  if (refused) return fail("token", refused.message);
  if (settings.token === undefined) return ok("token", "the bus asks for none");
  const without = await failureOf(busOf({ ...settings, token: undefined }).listAgents({ pageSize: 1 }));
  if (without === undefined) return ok("token", "the bus asks for none; the one that is set is not looked at");
  // An agent's token is told whose inbox it opens; another one that "bus" has none.
  const foreign = await failureOf(bus.listMessages({ agent: BUS }));
  if (foreign?.document.reason !== "NOT_YOUR_INBOX") return ok("token", "accepted; it may act as any agent");
  const [, name = "one agent"] = /the inbox of (\S+) alone/.exec(foreign.message) ?? [];
  return ok("token", `accepted; it speaks for ${name} alone`);
}

async function checkAgent(settings: Settings, bus: MessageBusClient): Promise<Check> {
  if (settings.agent === undefined) {
    return warn("agent", "no name: most commands need --as NAME or AGENTBUS_AGENT");
  }
  const name = foldName(settings.agent);
  const refused = await failureOf(bus.listMessages({ agent: name, pageSize: 1, maxBodyBytes: 1 }));
  if (refused) return fail("agent", refused.message);
  const agent = await findAgent(bus, name);
  if (agent?.registeredTime === undefined) {
    return ok("agent", `${name} is not registered yet: its first send or inbox does that`);
  }
  const state = `${name} is registered; unread: ${agent.unreadCount}, dead: ${agent.deadCount}`;
  if (agent.deadCount === 0) return ok("agent", state);
  return warn("agent", `${state}; see agentbus history --dead, then agentbus redrive`);
}

async function findAgent(bus: MessageBusClient, name: string): Promise<Agent | undefined> {
  const request = { query: name, includeUnregistered: true, pageSize: MAX_PAGE_SIZE };
  for (let pageToken = ""; ; ) {
    const page = await answerOf(bus.listAgents({ ...request, pageToken }));
    const found = page.agents.find((agent) => agent.name === name);
    if (found !== undefined || page.nextPageToken === "") return found;
    pageToken = page.nextPageToken;
  }
}

async function failureOf(call: Promise<unknown>): Promise<Failure | undefined> {
  try {
    await answerOf(call);
    return undefined;
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
}
