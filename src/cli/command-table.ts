/** The one table of commands: what help, completion and docs/cli.md list. It must load none before it is named. */
import type { Command } from "commander";

interface Entry {
  readonly summary: string;
  readonly load: () => Promise<Command>;
}

/** In the order of use. */
export const groups: Readonly<Record<string, Readonly<Record<string, Entry>>>> = {
  "Write and read:": {
    send: {
      summary: "Send a message to one agent, or to ALL",
      load: async () => (await import("./send.ts")).sendCommand(),
    },
    broadcast: {
      summary: "Send a message to every registered agent",
      load: async () => (await import("./broadcast.ts")).broadcastCommand(),
    },
    inbox: {
      summary: "Print unread mail and acknowledge what was printed",
      load: async () => (await import("./inbox.ts")).inboxCommand(),
    },
    reply: {
      summary: "Answer a message",
      load: async () => (await import("./reply.ts")).replyCommand(),
    },
    ask: {
      summary: "Send a question and wait for its answer",
      load: async () => (await import("./ask.ts")).askCommand(),
    },
    ack: {
      summary: "Mark messages as read",
      load: async () => (await import("./ack.ts")).ackCommand(),
    },
    show: {
      summary: "Print one message, read or not",
      load: async () => (await import("./show.ts")).showCommand(),
    },
    receipt: {
      summary: "Say what became of a message, inbox by inbox",
      load: async () => (await import("./receipt.ts")).receiptCommand(),
    },
    history: {
      summary: "List mail, read or not",
      load: async () => (await import("./history.ts")).historyCommand(),
    },
    search: {
      summary: "Find words in mail",
      load: async () => (await import("./search.ts")).searchCommand(),
    },
    redrive: {
      summary: "Make dead letters unread again",
      load: async () => (await import("./redrive.ts")).redriveCommand(),
    },
    outbox: {
      summary: "See and send what was kept while the bus was away",
      load: async () => (await import("./outbox.ts")).outboxCommand(),
    },
  },
  "Give it to an agent:": {
    work: {
      summary: "Run a program for each message of an agent",
      load: async () => (await import("./work.ts")).workCommand(),
    },
    mcp: {
      summary: "Serve the bus as tools to an MCP host, on stdio",
      load: async () => (await import("./mcp.ts")).mcpCommand(),
    },
  },
  "Agents:": {
    agents: {
      summary: "List agents and what waits for them",
      load: async () => (await import("./agents.ts")).agentsCommand(),
    },
    watch: {
      summary: "Show agents and mail as they change",
      load: async () => (await import("./watch.ts")).watchCommand(),
    },
    register: {
      summary: "Register an agent, or change its description",
      load: async () => (await import("./register.ts")).registerCommand(),
    },
    remove: {
      summary: "Remove an agent",
      load: async () => (await import("./remove.ts")).removeCommand(),
    },
  },
  "Run a bus:": {
    serve: {
      summary: "Run the bus on this machine",
      load: async () => (await import("./serve.ts")).serveCommand(),
    },
    token: {
      summary: "Make, list and revoke tokens of agents and admins",
      load: async () => (await import("./token.ts")).tokenCommand(),
    },
    backup: {
      summary: "Copy the store into a file while the bus runs",
      load: async () => (await import("./backup.ts")).backupCommand(),
    },
  },
  "Set up:": {
    doctor: {
      summary: "Say what is wrong between here and the bus",
      load: async () => (await import("./doctor.ts")).doctorCommand(),
    },
    completion: {
      summary: "Print what makes a shell complete agentbus",
      load: async () => (await import("./completion.ts")).completionCommand(),
    },
  },
};

export function isCommand(word: string): boolean {
  return Object.values(groups).some((entries) => Object.hasOwn(entries, word));
}
