/** Tells a watch as lines: whatever is new or different since the last look. It must not know when the next one is. */
import { toJson } from "@bufbuild/protobuf";
import { type Agent, AgentSchema } from "#gen/agentbus/v1/agent_pb.js";
import { type Message, MessageSchema } from "#gen/agentbus/v1/message_pb.js";
import { timeText } from "./message-text.ts";
import { cutText, oneLine } from "./visible-text.ts";
import type { Look } from "./watch-fleet.ts";
import { say, writeDocument, writeOut } from "./write-output.ts";

const MAX_BODY = 60;

export interface View {
  show(look: Look): Promise<void>;
  close(): void;
}

export function tellChanges(json: boolean): View {
  const agents = new Map<string, string>();
  let received: Set<string> | undefined;
  let away = false;
  const tell = async (document: object, line: string) => (json ? writeDocument(document) : writeOut(`${line}\n`));
  return {
    async show(look) {
      if ("outage" in look) {
        if (!away) say(look.outage);
        away = true;
        return;
      }
      if (away) say("the bus answers again");
      away = false;
      const at = look.at.toISOString();
      for (const agent of look.agents) {
        const line = agentLine(agent);
        if (agents.get(agent.name) === line) continue;
        agents.set(agent.name, line);
        await tell({ agent: toJson(AgentSchema, agent, { alwaysEmitImplicit: true }) }, `${at} ${line}`);
      }
      const named = new Set(look.agents.map(({ name }) => name));
      for (const name of agents.keys()) {
        if (named.has(name)) continue;
        agents.delete(name);
        await tell({ removedAgent: name }, `${at} agent ${name} removed`);
      }
      const isNew = ({ id }: Message) => received !== undefined && !received.has(id);
      for (const message of look.mail.filter(isNew).reverse()) {
        await tell(
          { message: toJson(MessageSchema, message, { alwaysEmitImplicit: true }) },
          `${at} ${mailLine(message)}`,
        );
      }
      received = new Set(look.mail.map(({ id }) => id));
    },
    close() {},
  };
}

/** Without the time it was last seen: that changes with every call of that agent. */
function agentLine({ name, unreadCount, oldestUnreadTime, deadCount, registeredTime }: Agent): string {
  const oldest = timeText(oldestUnreadTime);
  return `agent ${name} unread=${unreadCount} oldest=${oldest || "-"} dead=${deadCount}${registeredTime ? "" : " (not registered)"}`;
}

function mailLine({ id, sender, recipient, subject, body, bodySize }: Message): string {
  const text = cutText(oneLine(body), MAX_BODY, bodySize !== undefined);
  return `message ${id} from ${sender} to ${recipient}: ${oneLine(subject)}: ${text}`;
}
