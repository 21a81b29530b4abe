/** What docs/cli.md shows of each command, run in this order on one bus. A command that is not here shows its help alone. */

/** "{id}" is the last id that the scenario printed; a command that runs for ever is interrupted at `until`. */
export type Step = string | { readonly command: string; readonly until: RegExp };

export const scenarios: Readonly<Record<string, readonly Step[]>> = {
  send: [
    'agentbus send jack "Please review PR 12." -s Review --as joe',
    'seq 3 | agentbus send jack - -s "A list" --json --as joe',
    'agentbus send jeo "Hello" -s Typo --as ann',
  ],
  broadcast: ["agentbus register ann", 'agentbus broadcast -s Freeze "No merges until 15:00 UTC." --as joe'],
  inbox: [
    "agentbus inbox -n 1 --as jack",
    "agentbus inbox --look --json --as ann",
    "agentbus inbox --as kim || echo exit $?",
  ],
  reply: [
    'agentbus send jack "Is PR 13 good?" -s "PR 13" --as joe',
    'agentbus reply {id} "Yes: merged as 4f2a." --ack --as jack',
    "agentbus inbox --as joe",
  ],
  ask: [
    'agentbus ask jack "Which port?" --timeout 1s --request-id port-1 --as joe || echo exit $?',
    "agentbus reply {id} 8091 --ack --as jack",
    'agentbus ask jack "Which port?" --request-id port-1 --as joe',
  ],
  ack: [
    'agentbus send jack "Run the tests." -s Tests --as joe',
    "agentbus ack {id} --as jack",
    "agentbus ack 0198c0de-7a31-7c52-9d0e-3f1f4a1b2c3d --as jack || echo exit $?",
  ],
  show: ['agentbus send jack "Run the tests." -s Tests --as joe', "agentbus show {id} --as jack"],
  receipt: ['agentbus send ann "Run the tests." -s Tests --as joe', "agentbus receipt {id} --as joe"],
  history: ["agentbus history -n 3 --as jack", "agentbus history --sent --peer joe --since 1h --as jack"],
  search: ['agentbus search "run TESTS" --as jack', "agentbus search unicorn --as jack || echo exit $?"],
  redrive: [
    'agentbus send kim "Until noon only." -s Lunch --ttl 1 --as joe',
    "sleep 2; agentbus history --dead --as kim",
    "agentbus redrive --as kim",
    "agentbus redrive --as kim || echo exit $?",
  ],
  work: [
    'agentbus send oracle "Which port?" -s Port --as lea',
    "agentbus work oracle --once --reply -- echo 8091 2>/dev/null",
    "agentbus inbox --as lea",
    "agentbus work oracle --once -- true || echo exit $?",
  ],
  mcp: [`echo '{"jsonrpc":"2.0","id":1,"method":"ping"}' | agentbus mcp --as jack`],
  outbox: [
    'agentbus send jack "The disk is full." -s Alarm --as joe --url http://127.0.0.1:1 || echo exit $?',
    "agentbus outbox --as joe",
    "agentbus outbox drop 1",
  ],
  agents: ["agentbus agents", "agentbus agents --query ann --json"],
  watch: [{ command: "agentbus watch", until: /agent kim/ }],
  register: ['agentbus register ann -d "Reviews pull requests of the API"'],
  remove: ["agentbus remove ann || echo exit $?", "agentbus remove ann --force"],
  serve: [{ command: "agentbus serve --port 0 --log-level silent", until: /listens/ }],
  token: ["agentbus token create --agent jack --store sqlite:bus.db", "agentbus token list --store sqlite:bus.db"],
  backup: ["agentbus backup copy.db --store sqlite:bus.db"],
  doctor: ["agentbus doctor --as jack", "agentbus doctor --url http://127.0.0.1:1 || echo exit $?"],
  completion: ["agentbus completion bash"],
};
