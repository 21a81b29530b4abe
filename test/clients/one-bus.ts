/**
 * One real bus for a run, as users start it: with a token, a low rate limit and a log of every request; and what it says of
 * itself afterwards.
 */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Workplace } from "../../bench/workplace.ts";
import type { Spoken } from "./clients.ts";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const START_MS = 20_000;

export interface OneBus {
  readonly url: string;
  readonly token: string;
  /** Calls a method in JSON. */
  call(method: string, request: object): Promise<{ status: number; body: any }>;
  /** The same, but throws unless it is answered. */
  ask(method: string, request: object): Promise<any>;
  /** The status of a call without the token. */
  statusWithoutToken(): Promise<number>;
  /** Each Send so far: who sent it, in what. */
  sends(): readonly (Spoken & { readonly client: string })[];
  stop(): Promise<void>;
}

export async function startOneBus(workplace: Workplace, corsOrigin: string | undefined): Promise<OneBus> {
  const token = crypto.randomUUID();
  const store = `sqlite:${join(workplace.newFolder("bus"), "bus.db")}`;
  const words = ["serve", "--port", "0", "--store", store, "--rate-limit", "1/s", "--log-level", "debug", "--json"];
  const origin = corsOrigin === undefined ? [] : ["--cors-origin", corsOrigin];
  const child = spawn(process.execPath, [MAIN, ...words, ...origin], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env["PATH"], AGENTBUS_TOKEN: token },
  });
  workplace.keep(child);
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  let log = "";
  child.stderr.on("data", (chunk: Buffer) => {
    log += chunk.toString();
  });
  const url = await new Promise<string>((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`the bus does not listen: ${log}`)), START_MS);
    let out = "";
    child.stdout.on("data", (chunk: Buffer) => {
      out += chunk.toString();
      const found = /"url": *"([^"]+)"/.exec(out)?.[1];
      if (found === undefined) return;
      clearTimeout(late);
      resolve(found);
    });
  });
  const post = (method: string, request: object, headers: Record<string, string>) =>
    fetch(`${url}/agentbus.v1.MessageBus/${method}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(request),
    });
  const call = async (method: string, request: object) => {
    const answer = await post(method, request, { "x-bus-token": token });
    return { status: answer.status, body: await answer.json() };
  };
  return {
    url,
    token,
    call,
    ask: async (method, request) => {
      const { status, body } = await call(method, request);
      if (status !== 200) throw new Error(`${method}: ${JSON.stringify(body)}`);
      return body;
    },
    statusWithoutToken: async () => (await post("ListAgents", {}, {})).status,
    sends: () =>
      log
        .split("\n")
        .filter((line) => line.includes('"msg":"request"') && line.includes("MessageBus/Send"))
        .map((line) => JSON.parse(line))
        .filter(({ method }) => method === "POST")
        .map(({ http, type = "", client = "" }) => ({ http, type: type.split(";")[0].trim(), client })),
    stop: () => {
      child.kill("SIGTERM");
      return ended;
    },
  };
}
