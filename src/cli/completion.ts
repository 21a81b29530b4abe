/** `agentbus completion`: prints what makes a shell complete agentbus. It must not know any command. */
import { Argument, Command } from "commander";
import { type CommonOptions, settingsCommand } from "./setting-options.ts";
import { cutText, oneLine } from "./visible-text.ts";
import { writeDocument, writeOut } from "./write-output.ts";

/** Characters: it stands beside the word in a list. */
const MAX_DESCRIPTION = 60;

export function completionCommand(): Command {
  const words = new Command("words").argument("[WORD...]").action(printWords);
  return settingsCommand("completion", [], "Settings:")
    .description("Print a script that makes your shell complete commands, options and, from the bus, names of agents.")
    .usage("[options] <SHELL>")
    .addArgument(new Argument("<SHELL>", "Your shell.").choices(Object.keys(scripts)))
    .addCommand(words, { hidden: true })
    .helpCommand(false)
    .addHelpText(
      "after",
      `
Examples:
  source <(agentbus completion bash)        in ~/.bashrc
  source <(agentbus completion zsh)         in ~/.zshrc, behind compinit
  agentbus completion fish > ~/.config/fish/completions/agentbus.fish`,
    )
    .action(printScript);
}

async function printScript(shell: keyof typeof scripts, options: CommonOptions): Promise<void> {
  const script = scripts[shell];
  await (options.json ? writeDocument({ shell, script }) : writeOut(script));
}

/** What the scripts ask for: a line each, with its description behind a tab; or ":files". */
async function printWords(words: string[]): Promise<void> {
  const { completeWords } = await import("./complete-words.ts");
  const found = await completeWords(words);
  if (found === "files") return writeOut(":files\n");
  const line = ({ value, description }: (typeof found)[number]) =>
    `${oneLine(value)}\t${cutText(oneLine(description), MAX_DESCRIPTION)}\n`;
  return writeOut(found.map(line).join(""));
}

// None of them evaluates what was typed: a body may well hold $(…). The words go to agentbus as they are.
const scripts = {
  bash: `# bash completion for agentbus
_agentbus() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    if [[ $line == :files ]]; then
      compopt -o default 2>/dev/null
    else
      COMPREPLY+=("\${line%%$'\\t'*}")
    fi
  done < <(agentbus completion words -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _agentbus agentbus
`,
  zsh: `#compdef agentbus
# zsh completion for agentbus
_agentbus() {
  local line
  local -a values
  for line in "\${(@f)$(agentbus completion words -- "\${(@Q)words[2,CURRENT]}" 2>/dev/null)}"; do
    if [[ $line == :files ]]; then
      compset -P '*='
      _files
    elif [[ -n $line ]]; then
      values+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
    fi
  done
  (( $#values )) && _describe agentbus values
}
if [[ $funcstack[1] == _agentbus ]]; then
  _agentbus "$@"
else
  compdef _agentbus agentbus
fi
`,
  fish: `# fish completion for agentbus
function __agentbus_words
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  set -e words[1]
  for line in (agentbus completion words -- $words "$current" 2>/dev/null)
    if test "$line" = :files
      __fish_complete_path "$current"
    else
      echo -- $line
    end
  end
end
complete -c agentbus -f -a '(__agentbus_words)'
`,
} as const;
