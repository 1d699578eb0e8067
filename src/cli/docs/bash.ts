// Completion for bash, from the rows. Works with bash alone: the package bash-completion is not needed.

import { COMMANDS, commandNames } from '../command-rows.js';
import { type ShellOption, type ShellWord, shellOptions, shellWords, topicsOf } from './model.js';

/** The file, for example for /usr/share/bash-completion/completions/conntrack. */
export function bashCompletion(): string {
  return `# Completion of conntrack for bash. Generated from the option rows.

_conntrack_commands=(
${COMMANDS.map((row) => `  ${quote([row.letter, commandNames(row).join(' '), topicsOf(row).join(' ')].join('|'))}`).join('\n')}
)

# word | what may stand behind it
_conntrack_words=(
${shellWords()
  .map((word) => `  ${quote(`${word.name}|${word.operands.join(' ')}`)}`)
  .join('\n')}
)

# word | names of an option | kind of value | words
_conntrack_word_options=(
${shellWords().flatMap(wordLines).join('\n')}
)

# commands that take it | the same on table expect | protocol | names | kind of value | words
_conntrack_options=(
${shellOptions().map(line).join('\n')}
)

# Offers what may follow $prev: the value of an option of that kind, or one of the words in reply.
_conntrack_value() {
  local kind=$1 words=$2 word head=
  case $kind in
    words) mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur") ;;
    list)
      [[ $cur == *,* ]] && head=\${cur%,*},
      for word in $words; do [[ ",$head" == *",$word,"* ]] || COMPREPLY+=("$head$word"); done
      mapfile -t COMPREPLY < <(compgen -W "\${COMPREPLY[*]}" -- "$cur")
      compopt -o nospace 2> /dev/null ;;
    file)
      compopt -o filenames 2> /dev/null
      mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
    netns) mapfile -t COMPREPLY < <(compgen -W "all $(ls /run/netns 2> /dev/null)" -- "$cur") ;;
  esac
}

_conntrack_word() {
  local row word names kind words reply=($2)
  for row in "\${_conntrack_word_options[@]}"; do
    IFS='|' read -r word names kind words <<< "$row"
    [[ $word == "$1" ]] || continue
    if [[ " $names " == *" $prev "* && $kind != none ]]; then
      _conntrack_value "$kind" "$words"
      return
    fi
    reply+=($names)
  done
  mapfile -t COMPREPLY < <(compgen -W "\${reply[*]}" -- "$cur")
}

_conntrack() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} before=() i row
  COMPREPLY=()
  # bash makes three words of --name=value
  if [[ $cur == = ]]; then cur=; elif [[ $prev == = ]]; then prev=\${COMP_WORDS[COMP_CWORD-2]}; fi
  for ((i = 1; i < COMP_CWORD; i++)); do [[ \${COMP_WORDS[i]} == = ]] || before+=("\${COMP_WORDS[i]}"); done

  if ((\${#before[@]} > 0)); then
    for row in "\${_conntrack_words[@]}"; do
      if [[ \${row%%|*} == "\${before[0]}" ]]; then
        _conntrack_word "\${row%%|*}" "\${row#*|}"
        return
      fi
    done
  fi

  # What has been said: command, table, protocol.
  local command= table=conntrack protocol= letter names topics word last= follows= reply=()
  for word in "\${before[@]}"; do
    if [[ $last == command && \${word:0:1} != - ]]; then [[ expect == "$word"* ]] && table=expect; fi
    if [[ $last == protocol ]]; then protocol=$word; fi
    last=
    case $word in
      -p | --proto | --protonum) last=protocol ;;
      -p?*) protocol=\${word#-p} ;;
      -[A-Z]* | -h*)
        [[ $command ]] || { command=\${word:1:1}; last=command; } ;;
      --*)
        for row in "\${_conntrack_commands[@]}"; do
          IFS='|' read -r letter names topics <<< "$row"
          [[ " $names " == *" $word "* ]] && { command=$letter; last=command; }
        done ;;
    esac
  done
  protocol=\${protocol,,}
  if [[ $command == R && \${#before[@]} -eq 1 ]]; then
    compopt -o filenames 2> /dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    return
  fi

  if [[ -z $command ]]; then
    for row in "\${_conntrack_commands[@]}"; do
      IFS='|' read -r letter names topics <<< "$row"
      reply+=($names)
    done
    if ((\${#before[@]} == 0)); then for row in "\${_conntrack_words[@]}"; do reply+=("\${row%%|*}"); done; fi
    mapfile -t COMPREPLY < <(compgen -W "\${reply[*]}" -- "$cur")
    return
  fi

  local own expect of kind words name
  for row in "\${_conntrack_options[@]}"; do
    IFS='|' read -r own expect of names kind words <<< "$row"
    [[ -z $of || $of == "$protocol" ]] || continue
    if [[ " $names " == *" $prev "* && $kind != none ]]; then follows="$kind|$words"; fi
    [[ $table == expect ]] && own=$expect
    [[ $own == *"$command"* ]] && reply+=($names)
  done
  if [[ $follows ]]; then
    _conntrack_value "\${follows%%|*}" "\${follows#*|}"
    return
  fi
  if [[ $last == command ]]; then
    for row in "\${_conntrack_commands[@]}"; do
      IFS='|' read -r letter names topics <<< "$row"
      [[ $letter == "$command" ]] && reply+=($topics)
    done
  fi
  mapfile -t COMPREPLY < <(compgen -W "\${reply[*]}" -- "$cur")
}

complete -F _conntrack conntrack
`;
}

function line({ conntrack, expect, protocol, names, kind, words }: ShellOption): string {
  return `  ${quote([conntrack, expect, protocol, names.join(' '), kind, words.join(' ')].join('|'))}`;
}

function wordLines({ name, options }: ShellWord): string[] {
  return options.map(({ names, kind, words }) => `  ${quote([name, names.join(' '), kind, words.join(' ')].join('|'))}`);
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
