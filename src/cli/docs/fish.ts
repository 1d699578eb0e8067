// Completion for fish, from the rows.

import { COMMANDS } from '../command-rows.js';
import { firstSentence, type ShellOption, type ShellWord, shellOptions, shellWords, topicsOf } from './model.js';

/** The file, for example for ~/.config/fish/completions/conntrack.fish. */
export function fishCompletion(): string {
  return `# Completion of conntrack for fish. Generated from the option rows.

# The letter of the command that was given, and "expect" or "conntrack": the table.
function __conntrack_command
    set -l tokens (commandline -opc)
    set -l letter
    set -l table conntrack
    set -l follows 0
    for token in $tokens[2..]
        if test $follows = 1; and string match -q -- "$token*" expect; and not string match -q -- '-*' $token
            set table expect
        end
        set follows 0
        if test -n "$letter"
            continue
        end
        switch $token
${COMMANDS.map((row) => `            case '-${row.letter}*' ${row.names.map((name) => `--${name}`).join(' ')}\n                set letter ${row.letter}\n                set follows 1`).join('\n')}
        end
    end
    test -n "$letter"; or return 1
    echo $letter $table $follows
end

# Whether the command is one of the letters $argv[1], or those of $argv[2] on table expect.
function __conntrack_takes
    set -l said (string split ' ' -- (__conntrack_command)); or return 1
    if test $said[2] = expect
        string match -q -- "*$said[1]*" "$argv[2]"
    else
        string match -q -- "*$said[1]*" "$argv[1]"
    end
end

# Whether the command $argv[1] stands right before the cursor.
function __conntrack_follows
    set -l said (string split ' ' -- (__conntrack_command)); or return 1
    test $said[1] = $argv[1]; and test $said[3] = 1
end

function __conntrack_protocol
    string match -qi -- "* -p $argv[1] *" (string join ' ' -- (commandline -opc))' '
    or string match -qi -- "* -p$argv[1] *" (string join ' ' -- (commandline -opc))' '
    or string match -qi -- "* --proto* $argv[1] *" (string join ' ' -- (commandline -opc))' '
    or string match -qi -- "* --proto*=$argv[1] *" (string join ' ' -- (commandline -opc))' '
end

# Whether the first word is $argv[1]; without it, whether there is none yet.
function __conntrack_word
    set -l tokens (commandline -opc)
    if test (count $argv) -eq 0
        test (count $tokens) -eq 1
    else
        test (count $tokens) -gt 1; and test $tokens[2] = $argv[1]
    end
end

function __conntrack_in_word
    set -l tokens (commandline -opc)
    test (count $tokens) -gt 1; and contains -- $tokens[2] ${shellWords()
      .map((word) => word.name)
      .join(' ')}
end

complete -c conntrack -f
${shellWords().flatMap(wordLines).join('\n')}
${COMMANDS.map((row) => `complete -c conntrack -n 'not __conntrack_command >/dev/null; and not __conntrack_in_word' -s ${row.letter} ${row.names.map((name) => `-l ${name}`).join(' ')} -d ${quote(firstSentence(row.help))}`).join('\n')}
${COMMANDS.filter((row) => topicsOf(row).length > 0)
  .map((row) => `complete -c conntrack -n '__conntrack_follows ${row.letter}' -a ${quote(topicsOf(row).join(' '))}`)
  .join('\n')}
complete -c conntrack -n '__conntrack_follows R' -F
${shellOptions().map(line).join('\n')}
`;
}

function wordLines({ name, help, options, operands }: ShellWord): string[] {
  const within = quote(`__conntrack_word ${name}`);
  return [
    `complete -c conntrack -n __conntrack_word -a ${name} -d ${quote(help)}`,
    ...(operands.length > 0 ? [`complete -c conntrack -n ${within} -a ${quote(operands.join(' '))}`] : []),
    ...options.map((option) => `complete -c conntrack -n ${within} ${spec(option)}`),
  ];
}

function line(option: ShellOption): string {
  const { conntrack, expect, protocol } = option;
  const condition = `__conntrack_takes '${conntrack}' '${expect}'${protocol ? `; and __conntrack_protocol ${protocol}` : ''}`;
  return `complete -c conntrack -n ${quote(condition)} ${spec(option)}`;
}

/** Names, value and help of an option. */
function spec({ names, arg, kind, words, help }: ShellWord['options'][number]): string {
  const spelled = names.map((name) => (name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`)).join(' ');
  const value =
    kind === 'words'
      ? ` -a ${quote(words.join(' '))}`
      : kind === 'list'
        ? ` -a ${quote(`(__fish_append , ${words.join(' ')})`)}`
        : kind === 'netns'
          ? ` -a '(echo all; command ls /run/netns 2>/dev/null)'`
          : '';
  // Do not declare optional values: fish would offer nothing else after the option.
  const required = arg !== 'required' ? '' : kind === 'file' ? ' -r -F' : ' -x';
  return `${spelled}${required}${value} -d ${quote(help)}`;
}

function quote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
