// Completion for bash, from the rows. Works with bash alone: the package bash-completion is not needed.

import { COMMANDS, commandNames } from '../command-rows.js';
import { type ShellOption, type ShellWord, shellOptions, topicsOf } from './model.js';

/** The file, for example for /usr/share/bash-completion/completions/conntrack. */
export function bashCompletion(words: readonly ShellWord[]): string {
  return `# Completion of conntrack for bash. Generated from the option rows.

_conntrack_commands=(
${COMMANDS.map((row) => `  ${quote([row.letter, commandNames(row).join(' '), topicsOf(row).join(' ')].join('|'))}`).join('\n')}
)

# word | kind of what may stand behind it | words
_conntrack_words=(
${words.map(({ name, operands }) => `  ${quote(`${name}|${operands.kind}|${operands.words.join(' ')}`)}`).join('\n')}
)

# word | names of an option | kind of value | words
_conntrack_word_options=(
${words.flatMap(wordLines).join('\n')}
)

# commands that take it | the same on table expect | protocol | names | kind of value | words
_conntrack_options=(
${shellOptions().map(line).join('\n')}
)

# Offers those of the words $@ that begin with $cur. compgen -W would expand them.
_conntrack_offer() {
  local word
  for word in "$@"; do [[ $word == "$cur"* ]] && COMPREPLY+=("$word"); done
}

# What a word means, of which the end may not have been typed: $text; the quote that is open at its end: $quote; and what stands behind
# that, or all: $inner. Nothing is expanded.
_conntrack_unquote() {
  local char i
  text= quote= inner=$1
  for ((i = 0; i < \${#1}; i++)); do
    char=\${1:i:1}
    if [[ $char == "$quote" ]]; then
      quote= inner=$1
    elif [[ -z $quote && $char == [\\'\\"] ]]; then
      quote=$char inner=\${1:i+1}
    elif [[ $char == \\\\ && $quote != "'" ]]; then
      i=$((i + 1))
      [[ $quote && \${1:i:1} != [\\\\\\"\\$\\\`] ]] && text+=$char
      text+=\${1:i:1}
    else
      text+=$char
    fi
  done
}

# Asks conntrack what may stand at the end of an expression in the words $@, as they were typed.
_conntrack_expression() {
  local text quote inner said= word reply
  local PATH=\${PATH:+$PATH:}/usr/local/sbin:/usr/sbin:/sbin
  for word in "$@"; do
    _conntrack_unquote "$word"
    said+=" $text"
  done
  [[ ! $quote && \${!#} == *[\\'\\"] ]] && return
  _conntrack_unquote "$cur"
  type -P conntrack > /dev/null || return
  mapfile -t reply < <(command conntrack complete-filter -- "$said" 2> /dev/null < /dev/null)
  [[ \${reply[0]} =~ ^filter-words:([0-9]+)$ ]] || return
  for word in "\${reply[@]:1}"; do
    word=\${word%%$'\\t'*}
    # Of a list that is only shown, the words; of one that goes into the line, all that is quoted.
    if [[ $COMP_TYPE == 63 ]]; then COMPREPLY+=("$word"); else COMPREPLY+=("$inner\${word:BASH_REMATCH[1]}"); fi
  done
  # Behind the only word bash would close the quote: if there are two, it types what they share.
  if [[ $quote && \${#COMPREPLY[@]} == 1 && $COMP_TYPE == @(9|33|64) ]]; then COMPREPLY=("\${COMPREPLY[0]} " "\${COMPREPLY[0]} ..."); fi
}

# Offers what may follow $prev: the value of an option of that kind, or one of the words in reply.
_conntrack_value() {
  local kind=$1 words=$2 word head=
  case $kind in
    words) _conntrack_offer $words ;;
    list)
      [[ $cur == *,* ]] && head=\${cur%,*},
      for word in $words; do [[ ",$head" == *",$word,"* ]] || _conntrack_offer "$head$word"; done
      compopt -o nospace 2> /dev/null ;;
    file)
      compopt -o filenames 2> /dev/null
      mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
    netns) for word in all /run/netns/*; do [[ $word == *'*' ]] || _conntrack_offer "$(printf %q "\${word##*/}")"; done ;;
    expression) _conntrack_expression "$whole" ;;
  esac
}

# A word $1, and what may stand behind it: kind $2, words $3
_conntrack_word() {
  local row word names kind words reply=() valued=' ' operands=() skip=
  for row in "\${_conntrack_word_options[@]}"; do
    IFS='|' read -r word names kind words <<< "$row"
    [[ $word == "$1" ]] || continue
    if [[ " $names " == *" $prev "* && $kind != none ]]; then
      _conntrack_value "$kind" "$words"
      return
    fi
    reply+=($names)
    [[ $kind == none ]] || valued+="$names "
  done
  if [[ $2 != expression || $whole == -* ]]; then
    _conntrack_offer $3 "\${reply[@]}"
    return
  fi
  for word in "\${before[@]:1}"; do
    if [[ $skip ]]; then
      skip=
    elif [[ $word == -* ]]; then
      [[ $valued == *" $word "* ]] && skip=1
    else
      operands+=("$word")
    fi
  done
  if [[ $3 && \${#operands[@]} == 0 ]]; then
    _conntrack_offer $3
    return
  fi
  [[ $3 ]] && operands=("\${operands[@]:1}")
  _conntrack_expression "\${operands[@]}" "$whole"
}

# The words up to the cursor: $line. bash makes several of a word with = or : in it; the last of those: $cur
_conntrack_split() {
  local rest=\${COMP_LINE:0:COMP_POINT} i blank
  line=()
  for ((i = 0; i <= COMP_CWORD; i++)); do
    cur=\${COMP_WORDS[i]} blank=\${rest%%[![:space:]]*}
    rest=\${rest#"$blank"}
    if ((i == COMP_CWORD)) && [[ $cur == "$rest"* ]]; then cur=$rest; fi
    if [[ $i == 0 || $blank || ! $rest || $rest != "$cur"* ]]; then line+=("$cur"); else line[-1]+=$cur; fi
    rest=\${rest#"$cur"}
  done
  [[ $cur == [=:] ]] && cur=
}

_conntrack() {
  local line cur prev whole before=() i row word
  COMPREPLY=()
  _conntrack_split
  for word in "\${line[@]:1}"; do
    if [[ $word == --*=* ]]; then before+=("\${word%%=*}" "\${word#*=}"); else before+=("$word"); fi
  done
  whole=\${before[-1]}
  unset 'before[-1]'
  prev=; ((\${#before[@]} > 0)) && prev=\${before[-1]}

  local letter names topics
  if ((\${#before[@]} > 0)); then
    for row in "\${_conntrack_words[@]}"; do
      if [[ \${row%%|*} == "\${before[0]}" ]]; then
        IFS='|' read -r letter names topics <<< "$row"
        _conntrack_word "$letter" "$names" "$topics"
        return
      fi
    done
  fi

  # What has been said: command, table, protocol.
  local command= table=conntrack protocol= last= follows= reply=()
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
    _conntrack_offer "\${reply[@]}"
    return
  fi

  local own expect of kind words
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
  _conntrack_offer "\${reply[@]}"
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
