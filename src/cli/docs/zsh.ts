// Completion for zsh, from the rows.

import { COMMANDS, commandNames } from '../command-rows.js';
import { firstSentence, type ShellOption, type ShellWord, shellOptions, topicsOf } from './model.js';

/** The file `_conntrack`, for a folder in $fpath. */
export function zshCompletion(words: readonly ShellWord[]): string {
  const options = shellOptions();
  return `#compdef conntrack
# Completion of conntrack for zsh. Generated from the option rows.

_conntrack_netns() {
  local -a names
  names=(all /run/netns/*(N:t))
  compadd -a names
}

# Asks conntrack what may stand at the end of an expression. $@: the words of it before the one that is begun.
_conntrack_expression() {
  local raw=$words[CURRENT] said=$PREFIX typed reply
  local -a lines found shown
  local -i size
  local PATH=\${PATH:+$PATH:}/usr/local/sbin:/usr/sbin:/sbin
  [[ $compstate[quote] == \\' ]] || said=\${(Q)PREFIX}
  typed=$said
  said="\${(j: :)\${(@Q)@}} $said"
  whence -p conntrack > /dev/null || return 1
  lines=("\${(@f)$(command conntrack complete-filter -- "$said" 2> /dev/null < /dev/null)}")
  [[ $lines[1] == filter-words:<-> ]] || return 1
  size=\${lines[1]#*:}
  for reply in $lines[2,-1]; do
    found+=("\${reply%%$'\\t'*}")
    shown+=("\${(r:20:)reply%%$'\\t'*} \${reply#*$'\\t'}")
  done
  if [[ -z $compstate[quote] && $raw == *[\\'\\"]* ]]; then
    # A quote within the word, as in --filter='tcp and: zsh would put backslashes in its place.
    typed=\${typed[$#typed-size+1,-1]}
    [[ -z $SUFFIX && $raw == *"$typed" ]] || return 1
    [[ $raw == *\\' && -z \${\${raw//[^\\']}//\\'\\'} || $raw == *\\" && -z \${\${raw//[^\\"]}//\\"\\"} ]] && return 1
    found=("\${raw[1,$#raw-size]}"$^found)
    IPREFIX= PREFIX=$raw
    compadd -Q -U -S ' ' -l -d shown -a found
  else
    compset -p $(($#PREFIX - size))
    compset -s $#SUFFIX
    compadd -M 'm:{[:upper:]_}={[:lower:]-}' -S ' ' -l -d shown -a found
  fi
}

# The same where the operands of a word are the expression, from operand $1 on.
_conntrack_operands() {
  local -i last=\${line[(Ie)$words[CURRENT]]}
  _conntrack_expression "\${(@)line[$1,last-1]}"
}

_conntrack() {
  local command= table=conntrack protocol= word last=
  local -i i at=0 count=0
  local -a specs
  if ((CURRENT > 2)); then
    case $words[2] in
${words.map(wordSection).join('\n')}
    esac
  fi
  for ((i = 2; i < CURRENT; i++)); do
    word=$words[i]
    if [[ $last == command && $word != -* ]]; then
      count=2
      [[ expect == $word* ]] && table=expect
    fi
    [[ $last == protocol ]] && protocol=\${(L)word}
    last=
    case $word in
      (-p|--proto|--protonum) last=protocol ;;
      (-p?*) protocol=\${(L)\${word#-p}} ;;
${COMMANDS.map((row) => `      (${[`-${row.letter}*`, ...row.names.map((name) => `--${name}`)].join('|')}) [[ -n $command ]] || { command=${row.letter}; last=command; at=i; count=1 } ;;`).join('\n')}
    esac
  done

  if [[ -z $command ]]; then
    specs=(
${COMMANDS.map((row) => `      ${commandSpec(row)}`).join('\n')}
    )
    if ((CURRENT == 2)) && [[ $PREFIX != -* ]]; then
      compadd ${words.map((word) => word.name).join(' ')}
    fi
    _arguments -s : $specs
    return
  fi

  if [[ $last == command && $command == R ]]; then
    _files
    return
  fi
  if [[ $last == command && $PREFIX != -* ]]; then
    case $command in
${COMMANDS.filter((row) => topicsOf(row).length > 0)
  .map((row) => `      (${row.letter}) compadd ${topicsOf(row).join(' ')} ;;`)
  .join('\n')}
    esac
  fi

  case $table:$command in
${sections(options).join('\n')}
  esac
  case $table:$command:$protocol in
${protocolSections(options).join('\n')}
  esac
  # The command and its table have been read: the rest are options.
  words[at,at+count-1]=()
  ((CURRENT -= count))
  _arguments -s : $specs
}

_conntrack "$@"
`;
}

function wordSection(word: ShellWord): string {
  const { kind, words } = word.operands;
  const offered = words.length > 0 ? `(${words.join(' ')})` : '';
  const operands =
    kind !== 'expression'
      ? [...(words.length > 0 ? [quote(`*: :${offered}`)] : [])]
      : words.length > 0
        ? [quote(`1: :${offered}`), quote('*: : _conntrack_operands 2')]
        : [quote('*: : _conntrack_operands 1')];
  return [
    `      (${word.name})`,
    '        shift words',
    '        ((CURRENT--))',
    `        _arguments -s : ${[...word.options.flatMap(specs), ...operands].join(' ')}`,
    '        return ;;',
  ].join('\n');
}

function commandSpec(row: (typeof COMMANDS)[number]): string {
  return `{${commandNames(row).join(',')}}${quote(`[${escaped(firstSentence(row.help))}]`)}`;
}

function sections(options: readonly ShellOption[]): string[] {
  const general = options.filter((option) => option.protocol === '');
  return TABLES.flatMap((table) =>
    COMMANDS.flatMap(({ letter }) => section(`${table}:${letter}`, 'specs=', takenBy(general, table, letter))),
  );
}

function protocolSections(options: readonly ShellOption[]): string[] {
  const protocols = [...new Set(options.map((option) => option.protocol))].filter(Boolean);
  return protocols.flatMap((protocol) =>
    TABLES.flatMap((table) =>
      COMMANDS.flatMap(({ letter }) => {
        const own = options.filter((option) => option.protocol === protocol);
        return section(`${table}:${letter}:${protocol}`, 'specs+=', takenBy(own, table, letter));
      }),
    ),
  );
}

const TABLES = ['conntrack', 'expect'] as const;

function takenBy(options: readonly ShellOption[], table: (typeof TABLES)[number], letter: string): ShellOption[] {
  return options.filter((option) => option[table].includes(letter));
}

function section(pattern: string, assign: string, options: readonly ShellOption[]): string[] {
  if (options.length === 0) return [];
  return [`    (${pattern}) ${assign}(`, ...options.flatMap(specs).map((spec) => `      ${spec}`), '    ) ;;'];
}

/** One for each name: `'--src[Source address]:ADDR: '`. */
function specs({ names, arg, value, kind, words, help }: ShellWord['options'][number]): string[] {
  const action = {
    none: '',
    text: ' ',
    words: `(${words.join(' ')})`,
    list: `_sequence compadd - ${words.join(' ')}`,
    file: '_files',
    netns: '_conntrack_netns',
    // The blank: without the options of compadd that _arguments would add.
    expression: ' _conntrack_expression',
  }[kind];
  const rest = arg === 'none' ? '' : `${arg === 'optional' ? '::' : ':'}${escaped(value)}:${action}`;
  return names.map((name) => quote(`${name}${arg !== 'none' && name.startsWith('--') ? '=' : ''}[${escaped(help)}]${rest}`));
}

function escaped(text: string): string {
  return text.replace(/[[\]:\\]/g, '\\$&');
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
