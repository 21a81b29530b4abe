/** What buses did to one disk and what they told their clients, in one order. */
import { readFileSync } from "node:fs";
import type { Promised, Talk } from "./clients.ts";
import { type Call, readTrace } from "./trace-reader.ts";

/** One bus process, from its start to its end. */
export interface Run {
  /** The file that strace wrote. */
  readonly trace: string;
  readonly conversations: readonly Talk[];
}

/** All of the runs, one after the other on the same disk. */
export interface Runs {
  /** Whatever is above the database's files and was there before. */
  readonly disk: string;
  readonly runs: readonly Run[];
}

export interface Recording {
  readonly calls: readonly Call[];
  /** By the place of the answer among the calls: what it promised. */
  readonly promised: ReadonlyMap<number, readonly Promised[]>;
  /** Texts of all messages that were ever sent. */
  readonly asked: ReadonlySet<string>;
}

/** Throws when an answer that a client got is not in the trace. */
export function recordingOf({ disk, runs }: Runs): Recording {
  const calls: Call[] = [];
  const promised = new Map<number, readonly Promised[]>();
  const asked = new Set<string>();
  for (const { trace, conversations } of runs) {
    const byAgent = new Map(conversations.map((one) => [one.agent, one]));
    /** Whose connection it is, and how many answers went out on it. */
    const sockets = new Map<string, { agent: string; answers: number }>();
    for (const call of readTrace(readFileSync(trace, "latin1"), disk)) {
      const place = calls.push(call) - 1;
      if (call.kind !== "answer") continue;
      const socket = sockets.get(call.socket) ?? { agent: "", answers: 0 };
      sockets.set(call.socket, socket);
      // Each begins with RegisterAgent, again and again if it is refused: the answer that names the agent is the first to promise.
      if (socket.agent === "") socket.agent = /"name":"([^"]+)"/.exec(call.text)?.[1] ?? "";
      promised.set(place, byAgent.get(socket.agent)?.answers[socket.answers++] ?? []);
    }
    for (const { agent, answers, asked: texts } of conversations) {
      const seen = [...sockets.values()].find((one) => one.agent === agent)?.answers;
      if (seen !== answers.length) throw new Error(`${agent} got ${answers.length} answers, the trace shows ${seen}`);
      for (const text of texts) asked.add(text);
    }
  }
  return { calls, promised, asked };
}
