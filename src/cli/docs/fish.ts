// Completion for fish, from the rows.

import { COMMANDS } from '../command-rows.js';
import { firstSentence, type ShellOption, type ShellWord, shellOptions, topicsOf } from './model.js';

/** The file, for example for ~/.config/fish/completions/conntrack.fish. */
export function fishCompletion(words: readonly ShellWord[]): string {
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
    test (count $tokens) -gt 1; and contains -- $tokens[2] ${words.map((word) => word.name).join(' ')}
end

# Asks conntrack what may stand at the end of an expression. $argv: the words of it before the one that is begun.
function __conntrack_expression
    set -l token (string replace -r -- '^--[a-z-]+=' '' (commandline -ct))
    set -l said (string unescape -- "$token")
    # Within quotes, a backslash before a blank is one.
    set -l open 0
    if test (string unescape -- "$token\\\\ " | string collect -N) != "$said "\\n
        set open 1
    else if string match -qr -- '[\\'"]$' "$token"
        return
    end
    set -l before (string join ' ' -- $argv '')
    set -l found (__conntrack_ask "$before" "$said")
    # fish would close the quote behind the only word: it does not if there are more, those that may follow.
    if test $open = 1 -a (count $found) -eq 1
        set found (string replace -r -- '(\\t.*)?$' ' $1' $found)
        set said (string replace -r -- '\\t.*' '' $found)
        set -a found (__conntrack_ask "$before" "$said"); or set -a found "$said..."
    end
    printf '%s\\n' $found
end

# Texts of which $argv[2] is the beginning; $argv[1] stands before it.
function __conntrack_ask
    set -lx PATH $PATH /usr/local/sbin /usr/sbin /sbin
    command -q conntrack; or return
    set -l lines (command conntrack complete-filter -- "$argv[1]$argv[2]" 2>/dev/null </dev/null)
    set -l size (string match -rg -- '^filter-words:(\\d+)$' "$lines[1]"); or return
    test (count $lines) -gt 1; or return
    printf '%s\\n' "$argv[2]"(string sub -s (math $size + 1) -- $lines[2..])
end

# The operands of a word before the cursor. $argv: its options that take a value.
function __conntrack_operands
    set -l skip 0
    set -l tokens (commandline -opc)
    for token in $tokens[3..]
        if test $skip = 1
            set skip 0
        else if string match -q -- '-*' $token
            contains -- $token $argv; and set skip 1
        else
            printf '%s\\n' $token
        end
    end
end

complete -c conntrack -f
${words.flatMap(wordLines).join('\n')}
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
    ...operandLines(within, operands, options),
    ...options.map((option) => `complete -c conntrack -n ${within} ${spec(option)}`),
  ];
}

/** What may follow a word: one of some words, an expression, or an expression behind one of some words. */
function operandLines(within: string, { kind, words }: ShellWord['operands'], options: ShellWord['options']): string[] {
  const offered = words.join(' ');
  if (kind !== 'expression') return words.length > 0 ? [`complete -c conntrack -n ${within} -a ${quote(offered)}`] : [];
  const valued = options.filter(({ arg }) => arg !== 'none').flatMap(({ names }) => names);
  const before = `(__conntrack_operands ${valued.join(' ')})`;
  if (words.length === 0) return [`complete -c conntrack -n ${within} -a ${quote(`(__conntrack_expression ${before})`)}`];
  const first = `count ${before} >/dev/null`;
  return [
    `complete -c conntrack -n ${within} -n ${quote(`not ${first}`)} -a ${quote(offered)}`,
    `complete -c conntrack -n ${within} -n ${quote(first)} -a ${quote(`(__conntrack_expression ${before}[2..])`)}`,
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
          : kind === 'expression'
            ? ` -a '(__conntrack_expression)'`
            : '';
  // Do not declare optional values: fish would offer nothing else after the option.
  const required = arg !== 'required' ? '' : kind === 'file' ? ' -r -F' : ' -x';
  return `${spelled}${required}${value} -d ${quote(help)}`;
}

function quote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
