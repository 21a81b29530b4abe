/**
 * Lets agents run at once against one bus, each writing to the next one and the last to the first, and asks the bus what it
 * has of them afterwards. It judges nothing.
 */
import type { Workplace } from "../../bench/workplace.ts";
import type { Client, Spoken } from "./clients.ts";
import { FILLER, fillQuota } from "./fill-quota.ts";
import type { Kept } from "./judge.ts";
import type { Made } from "./make-client.ts";
import { type OneBus, startOneBus } from "./one-bus.ts";
import { type Ran, runPage, runProcess } from "./run-agent.ts";
import { openBrowser, servePage } from "./serve-page.ts";

/** What the bus has of one agent. */
export interface KeptOf {
  readonly inbox: readonly Kept[];
  readonly outbox: readonly Kept[];
  readonly unreadCount: number;
  readonly description: string;
}

export interface Ring {
  /** In the order of the ring. */
  readonly ran: ReadonlyMap<Client, Ran>;
  readonly kept: ReadonlyMap<Client, KeptOf>;
  /** What each Send was spoken in, and by which user-agent. */
  readonly sends: readonly (Spoken & { readonly client: string })[];
}

export async function runRing(
  workplace: Workplace,
  made: ReadonlyMap<Client, Made>,
  tell: (what: string) => void,
): Promise<Ring> {
  const clients = [...made.keys()];
  const pageFolder = [...made].find(([{ page }]) => page !== undefined)?.[1].folder;
  const page = pageFolder === undefined ? undefined : await servePage(pageFolder);
  const browser = page && (await openBrowser());
  const bus = await startOneBus(workplace, page?.origin);
  try {
    if ((await bus.statusWithoutToken()) !== 401) throw new Error("the bus lets in who has no token");
    tell(`running ${clients.length} agents`);
    const ran = await Promise.all(
      clients.map(async (client, i): Promise<[Client, Ran]> => {
        const peer = (clients[(i + 1) % clients.length] as Client).name;
        const refused = new AbortController();
        const heard = (printed: string) => {
          if (/^refused\t/m.test(printed)) refused.abort();
        };
        await fillQuota(bus, client.name, refused.signal);
        const errand = { url: bus.url, token: bus.token, agent: client.name, peer, heard };
        const { folder, run } = made.get(client) as Made;
        const outcome =
          client.page && page && browser
            ? await runPage(browser, page.url, errand, client.page)
            : await runProcess(workplace, folder, run, errand);
        refused.abort();
        tell(`${client.name} is done`);
        return [client, outcome];
      }),
    );
    return { ran: new Map(ran), kept: await keptBy(bus, clients), sends: bus.sends() };
  } finally {
    await bus.stop();
    await browser?.close();
    await page?.close();
  }
}

async function keptBy(bus: OneBus, clients: readonly Client[]): Promise<ReadonlyMap<Client, KeptOf>> {
  const { agents } = await bus.ask("ListAgents", {});
  const kept = new Map<Client, KeptOf>();
  for (const client of clients) {
    const page = async (box: string): Promise<Kept[]> =>
      (await bus.ask("ListMessages", { agent: client.name, box, pageSize: 1000 })).messages.reverse();
    // One that never registered has as much unread mail as no one can have.
    const { unreadCount = Number.NaN, description = "" } =
      agents.find(({ name }: { name: string }) => name === client.name) ?? {};
    const outbox = (await page("BOX_SENT")).filter(({ to }) => to !== FILLER);
    kept.set(client, { inbox: await page("BOX_INBOX"), outbox, unreadCount, description });
  }
  return kept;
}
