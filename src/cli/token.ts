/** `agentbus token`: makes, lists and revokes tokens on the bus's own host. It must not know how a token is kept. */
import { Command, Option } from "commander";
import { foldName } from "../message.ts";
import { checkRequest } from "../request-rules.ts";
import type { TokenBook } from "../store/token-book.ts";
import type { TokenRecord } from "../token.ts";
import { alignColumns } from "./align-columns.ts";
import { tellAct } from "./audit.ts";
import { EXIT } from "./exit-codes.ts";
import { Failure, usageFailure } from "./failure.ts";
import { type CommonOptions, settingsCommand, settle } from "./setting-options.ts";
import { say, writeDocument, writeOut } from "./write-output.ts";

interface CreateOptions extends CommonOptions {
  readonly agent?: string;
  readonly admin?: boolean;
}

const EXAMPLES = `
Examples:
  agentbus token create --agent jack
  agentbus token list
  agentbus token revoke 3f9a01c2`;

export function tokenCommand(): Command {
  const create = storeCommand("create", "Make a token. It is shown once and kept only as a hash.")
    .addOption(new Option("--agent <NAME>", "It speaks for this agent alone.").conflicts("admin"))
    .option("--admin", "It may do everything.")
    .action(createToken);
  const list = storeCommand("list", "List tokens, in force and revoked; never the tokens themselves.").action(
    listTokens,
  );
  const revoke = storeCommand("revoke", "End a token: the bus refuses it from the next call on.")
    .argument("<ID>", "As `token list` names it.")
    .action(revokeToken);
  return new Command("token")
    .description("Make, list and revoke tokens of agents and admins, on the bus's own host; the bus may go on serving.")
    .addCommand(create)
    .addCommand(list)
    .addCommand(revoke)
    .addHelpText("after", EXAMPLES);
}

function storeCommand(name: string, description: string): Command {
  return settingsCommand(name, ["store"], "Settings:").description(description).addHelpText("after", EXAMPLES);
}

async function withBook<T>(command: Command, work: (book: TokenBook) => T, mayMake = false): Promise<T> {
  const { store } = settle(command, ["store"]);
  const { openTokenBook } = await import("../store/token-book.ts");
  const book = openTokenBook(store, mayMake);
  try {
    if (book.made !== undefined) {
      say(`there was no database at ${book.made}: it is made; the token is good for a bus that serves it (--store)`);
    }
    return work(book);
  } finally {
    book.close();
  }
}

async function createToken(options: CreateOptions, command: Command): Promise<void> {
  const { agent, admin } = options;
  if (agent === undefined && !admin) throw usageFailure("say whose token it is: --agent NAME or --admin");
  if (agent !== undefined) checkRequest("RegisterAgent", { agent }, { maxBodyBytes: 0 });
  const name = agent === undefined ? undefined : foldName(agent);
  const { token, record } = await withBook(command, (book) => book.create(name), true);
  // It exists, whether or not it can be shown.
  tellAct(
    { audit: "TokenCreate", tokenId: record.id, agent: name ?? null },
    `token ${record.id} for ${name ?? "admins"}; it is not shown again`,
  );
  await (options.json ? writeDocument({ token, ...documentOf(record) }) : writeOut(`${token}\n`));
}

async function listTokens(options: CommonOptions, command: Command): Promise<void> {
  const records = await withBook(command, (book) => book.list());
  if (options.json) return writeDocument({ tokens: records.map(documentOf) });
  if (records.length === 0) {
    say("no tokens");
    process.exitCode = EXIT.nothing;
    return;
  }
  const time = (ms: number | undefined) => (ms === undefined ? "" : new Date(ms).toISOString());
  const rows = records.map(({ id, agent, createdAt, revokedAt }) => [
    id,
    agent ?? "(admin)",
    time(createdAt),
    time(revokedAt),
  ]);
  await writeOut(alignColumns([["ID", "AGENT", "CREATED", "REVOKED"], ...rows]));
}

async function revokeToken(id: string, options: CommonOptions, command: Command): Promise<void> {
  const record = await withBook(command, (book) =>
    book.revoke(id) ? book.list().find((one) => one.id === id) : undefined,
  );
  if (record === undefined) {
    const message = `there is no token ${id}; agentbus token list names them`;
    throw new Failure(EXIT.refused, { code: "not_found", reason: "LOCAL", message, field: "" });
  }
  const { agent = null } = record;
  tellAct({ audit: "TokenRevoke", tokenId: id, agent }, `token ${id} of ${agent ?? "admins"} is revoked`);
  if (options.json) return writeDocument({ id, revoked: true });
  await writeOut(`${id}: revoked\n`);
}

function documentOf({ id, agent, createdAt, revokedAt }: TokenRecord) {
  return {
    id,
    agent: agent ?? null,
    admin: agent === undefined,
    createdTime: new Date(createdAt).toISOString(),
    revokedTime: revokedAt === undefined ? null : new Date(revokedAt).toISOString(),
  };
}
