/** Runs one agent, in a process or in a page, until its errand is done or time is up; what it printed. */
import { spawn } from "node:child_process";
import type { Browser } from "playwright-core";
import type { Workplace } from "../../bench/workplace.ts";

/** Far longer than an errand takes on a busy machine. */
const RUN_MS = 120_000;

export interface Errand {
  readonly url: string;
  readonly token: string;
  readonly agent: string;
  readonly peer: string;
  /** Told all that was printed so far, whenever it is more. */
  readonly heard: (printed: string) => void;
}

export interface Ran {
  readonly printed: string;
  readonly ms: number;
  /** Why it did not end well. */
  readonly failure: string | undefined;
}

export function runProcess(workplace: Workplace, folder: string, command: string, errand: Errand): Promise<Ran> {
  const { url, token, agent, peer, heard } = errand;
  const began = performance.now();
  const child = spawn("bash", ["-c", `exec ${command.trim()}`], {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, AGENTBUS_URL: url, AGENTBUS_TOKEN: token, AGENTBUS_AGENT: agent, AGENTBUS_PEER: peer },
  });
  workplace.keep(child);
  let printed = "";
  let log = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    printed += text;
    heard(printed);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    log += text;
  });
  const late = setTimeout(() => child.kill("SIGKILL"), RUN_MS);
  return new Promise((resolve) => {
    child.once("close", (code, signal) => {
      clearTimeout(late);
      const failure = code === 0 ? undefined : `it ended with ${signal ?? code}\n${log}`;
      resolve({ printed, ms: performance.now() - began, failure });
    });
  });
}

export async function runPage(
  browser: Browser,
  page: string,
  { url, token, agent, peer, heard }: Errand,
  more: Readonly<Record<string, string>>,
): Promise<Ran> {
  const began = performance.now();
  const context = await browser.newContext();
  const tab = await context.newPage();
  const log: string[] = [];
  tab.on("console", (message) => log.push(message.text()));
  tab.on("pageerror", (error) => log.push(String(error)));
  try {
    await tab.goto(`${page}#${new URLSearchParams({ url, token, agent, peer, ...more })}`);
    const told = tab.locator("#told");
    let printed = "";
    while (!/^(end|failed\t.*)$/m.test(printed)) {
      if (performance.now() - began > RUN_MS) return { printed, ms: RUN_MS, failure: `time is up\n${log.join("\n")}` };
      await tab.waitForTimeout(50);
      printed = (await told.textContent()) ?? "";
      heard(printed);
    }
    const [, why] = /^failed\t(.*)$/m.exec(printed) ?? [];
    const failure = why === undefined ? undefined : `${why}\n${log.join("\n")}`;
    return { printed, ms: performance.now() - began, failure };
  } finally {
    await context.close();
  }
}
