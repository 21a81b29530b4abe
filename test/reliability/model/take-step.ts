/** Turns a step into requests, with what callers know by now, and makes them. */
import { createHash } from "node:crypto";
import type { NewMessage, Pull } from "#dist/store.js";
import { HOUR } from "./mail.ts";
import type { Request } from "./requests.ts";
import { AGENTS, type Draft, type Step } from "./steps.ts";
import type { World } from "./world.ts";

/** Throws when the store and its model disagree. A step about something that is not there yet does nothing. */
export async function takeStep(world: World, step: Step): Promise<void> {
  switch (step.does) {
    case "advance":
      return world.advance(step.what);
    case "advanceToNextEnd":
      return world.advanceToNextEnd(step.what);
    case "restart":
      return world.restart(step.what);
    case "pullAtOnce": {
      const [agent, one, other] = step.what;
      return world.performAtOnce([one, other].map((pull) => pullRequest(world, { ...pull, agent })));
    }
    case "repeat": {
      const earlier = newest(world.requests, step.what);
      return earlier && world.perform(withNewIds(world, earlier.request));
    }
    default: {
      const request = requestOf(world, step);
      return request && world.perform(request);
    }
  }
}

type Plain = Exclude<Step, { does: "advance" | "advanceToNextEnd" | "restart" | "pullAtOnce" | "repeat" }>;

function requestOf(world: World, step: Plain): Request | undefined {
  switch (step.does) {
    case "send":
      return { verb: "send", args: [step.what.map((draft) => newMessage(world, draft))] };
    case "sendAgain": {
      // The node's own second try of a batch whose outcome it did not learn: soon, and with the same ids.
      const recent = world.requests.filter(({ request, at }) => request.verb === "send" && world.now < at + HOUR / 2);
      return newest(recent, step.what)?.request;
    }
    case "pull":
      return pullRequest(world, step.what);
    case "repeatPull": {
      // Not quite a repeat: in another mode, perhaps.
      const keyed = world.requests.flatMap(({ request }) => (request.verb === "pull" ? request.args : []));
      const earlier = newest(
        keyed.filter(({ requestId }) => requestId !== undefined),
        step.what.pull,
      );
      return earlier && pullRequest(world, { ...earlier, taking: step.what.taking });
    }
    case "ackLease": {
      const lease = newest(world.leases, step.what.lease);
      if (lease === undefined) return undefined;
      const ids = partOf(lease.messageIds, step.what.part);
      return { verb: "ack", args: [lease.agent, ids, step.what.named ? lease.id : undefined] };
    }
    case "ackPulled": {
      const ids = partOf(world.pulled.get(step.what.agent) ?? [], step.what.part);
      return ids.length > 0 ? { verb: "ack", args: [step.what.agent, ids, undefined] } : undefined;
    }
    case "ack": {
      const { agent, ids, lease } = step.what;
      const leaseId = lease === undefined ? undefined : (newest(world.leases, lease)?.id ?? "no lease");
      return { verb: "ack", args: [agent, ids.map((id) => idOf(world, id)), leaseId] };
    }
    case "extend": {
      const lease = newest(world.leases, step.what.lease);
      return lease && { verb: "extendLease", args: [lease.agent, lease.id, step.what.ms] };
    }
    case "giveBack": {
      const lease = newest(world.leases, step.what.lease);
      if (lease === undefined) return undefined;
      const { part, alsoId } = step.what;
      const also = alsoId === undefined ? [] : [idOf(world, alsoId)];
      const ids = part === undefined ? undefined : [...partOf(lease.messageIds, part), ...also];
      return { verb: "giveBack", args: [lease.agent, lease.id, ids] };
    }
    case "register":
      return { verb: "registerAgent", args: [step.what.agent, step.what.description] };
    case "remove":
      return { verb: "removeAgent", args: [step.what.agent, step.what.force] };
    case "redrive": {
      const agent = step.what.agent ?? newest(world.inboxesWith("DEAD"), step.what.which);
      const ids = step.what.ids?.map((id) => idOf(world, id));
      return agent === undefined ? undefined : { verb: "redrive", args: [agent, ids] };
    }
    case "sweep":
    case "retain":
    case "index":
      return { verb: step.does, args: [] };
    case "listMessages": {
      const { inReplyTo, since, until, ...query } = step.what;
      const before = (ms: number | undefined) => (ms === undefined ? undefined : world.now - ms);
      const id = inReplyTo === undefined ? undefined : idOf(world, inReplyTo);
      const times = { since: before(since), until: before(until) };
      return { verb: "listMessages", args: [{ ...query, ...times, inReplyTo: id, after: undefined }] };
    }
    case "nextPage": {
      const bookmark = newest(world.bookmarks, step.what);
      return bookmark && { verb: "listMessages", args: [{ ...bookmark.query, after: bookmark.key }] };
    }
    case "listAgents":
      return { verb: "listAgents", args: [step.what] };
    case "getMessage":
      return { verb: "getMessage", args: [step.what.agent, idOf(world, step.what.id)] };
    case "getReceipt": {
      const { id, limit, after } = step.what;
      return { verb: "getReceipt", args: [idOf(world, id), limit, after] };
    }
  }
}

/** The same request at a later time: the node makes new ids. */
function withNewIds(world: World, request: Request): Request {
  if (request.verb === "send") {
    return { verb: "send", args: [request.args[0].map((message) => ({ ...message, id: world.newId("m") }))] };
  }
  if (request.verb === "pull") return { verb: "pull", args: [{ ...request.args[0], leaseId: world.newId("lease") }] };
  return request;
}

function newMessage(world: World, { from, to, requestId, inReplyTo: parent, ...rest }: Draft): NewMessage {
  const inReplyTo = parent === undefined ? undefined : idOf(world, parent);
  const includeSender = to === "ALL" && rest.includeSender;
  const content = JSON.stringify([to, rest.subject, rest.body, inReplyTo, includeSender]);
  const contentHash = createHash("sha256").update(content).digest();
  const key = requestId === undefined ? undefined : { requestId, contentHash };
  return { ...rest, id: world.newId("m"), sender: from, recipient: to, includeSender, inReplyTo, key };
}

function pullRequest(
  world: World,
  pull: Omit<Pull, "leaseId" | "agent"> & { readonly agent: string | undefined },
): Request {
  const agent = pull.agent ?? world.inboxesWith("UNREAD")[0] ?? AGENTS[0];
  return { verb: "pull", args: [{ ...pull, agent, leaseId: world.newId("lease") }] };
}

/** -1, or nothing known yet: an id that nobody knows. */
function idOf(world: World, number: number): string {
  return newest(world.messageIds, number) ?? "no message";
}

function newest<T>(items: readonly T[], number: number): T | undefined {
  return number < 0 ? undefined : items[items.length - 1 - (number % items.length)];
}

function partOf(ids: readonly string[], part: "all" | "first" | "last"): readonly string[] {
  if (part === "all") return ids;
  return part === "first" ? ids.slice(0, 1) : ids.slice(-1);
}
