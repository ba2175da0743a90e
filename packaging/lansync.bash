# bash completion for lansync. tests/e2e/completions_test.py holds it to what the program knows.

_lansync_peers() {
  lansync "$@" peers --json 2>/dev/null |
    sed 's/},{/\n/g' | sed -n 's/.*"name":"\([^"\\]\{1,\}\)".*/\1/p'
}

# Names in the folder: as they stand there, and from within it also from where one stands.
_lansync_names() {
  local cur=$1 at=$PWD
  shift
  if [[ ${1-} == -C ]]; then
    at=$2
  else
    while [[ -n $at && ! -d $at/.lansync ]]; do at=${at%/*}; done
    [[ -z $at ]] && at=${LANSYNC_DIR:-$HOME/LanSync}
  fi
  (cd -- "$at" 2>/dev/null && compgen -f -- "$cur" | grep -vx '\.lansync\(/.*\)\?')
  [[ $PWD/ == "$at"/* && $PWD != "$at" ]] && compgen -f -- "$cur"
}

# Sets COMPREPLY of _lansync: its options after a -, else names.
_lansync_offer_names() {
  if [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "$1" -- "$cur"))
  else
    mapfile -t COMPREPLY < <(_lansync_names "$cur" "${folder[@]}" | sort -u)
  fi
}

_lansync() {
  local cur prev word command="" i
  local -a folder=()
  cur=${COMP_WORDS[COMP_CWORD]}
  prev=${COMP_WORDS[COMP_CWORD-1]}
  COMPREPLY=()
  local commands="run status why wait peers index hash download upload uploads search put get drop copies where
    history conflicts trash plan confirm reject pause resume rescan stop doctor genpass version
    IndexGet FileHash FileDownload FileUpload"
  local run_options="--role --group --password-file --name --interface --peer --port --carrier --on-demand
    --copies --settle --settle-max --rescan --uploads --limit --max-deletes --max-file-size --log-level
    --log-file --keylog --force-dir -C --help"

  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    if [[ $word == -C ]]; then
      folder=(-C "${COMP_WORDS[i+1]/#\~/$HOME}")
      ((i++))
    elif [[ -z $command && " ${commands//[$'\n']/ } " == *" $word "* ]]; then
      command=$word
    fi
  done

  case $prev in
    -C) COMPREPLY=($(compgen -d -- "$cur")); return ;;
    --password-file|--log-file|--keylog|--output|-o) COMPREPLY=($(compgen -f -- "$cur")); return ;;
    --role) COMPREPLY=($(compgen -W "auto server proxy client" -- "$cur")); return ;;
    --carrier) COMPREPLY=($(compgen -W "auto enet lane tcp" -- "$cur")); return ;;
    --uploads) COMPREPLY=($(compgen -W "allow ask deny" -- "$cur")); return ;;
    --log-level) COMPREPLY=($(compgen -W "trace debug info warn error" -- "$cur")); return ;;
    --interface) COMPREPLY=($(compgen -W "$(ls /sys/class/net 2>/dev/null)" -- "$cur")); return ;;
    --to) COMPREPLY=($(compgen -W "$(_lansync_peers "${folder[@]}")" -- "$cur")); return ;;
    --peer)
      if [[ -n $command && $command != run ]]; then
        COMPREPLY=($(compgen -W "$(_lansync_peers "${folder[@]}")" -- "$cur"))
      else
        COMPREPLY=($(compgen -A hostname -- "$cur"))
      fi
      return ;;
    --group|--name|--port|--copies|--settle|--settle-max|--rescan|--limit|--max-deletes|--max-file-size|\
    --timeout|--peers|--since|--regex) return ;;
    --restore) return ;;  # names what is not there any more
  esac

  case $command in
    "")
      if [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$run_options --version" -- "$cur"))
      else
        COMPREPLY=($(compgen -W "$commands" -- "$cur") $(compgen -d -- "$cur"))
      fi ;;
    run)
      if [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$run_options" -- "$cur"))
      else
        COMPREPLY=($(compgen -d -- "$cur"))
      fi ;;
    status) COMPREPLY=($(compgen -W "--watch --json -C --help" -- "$cur")) ;;
    wait) COMPREPLY=($(compgen -W "--peers --all --timeout --json -C --help" -- "$cur")) ;;
    trash) COMPREPLY=($(compgen -W "--restore --since --json -C --help" -- "$cur")) ;;
    history) COMPREPLY=($(compgen -W "--since --json -C --help" -- "$cur")) ;;
    index|IndexGet) COMPREPLY=($(compgen -W "longlist shortlist regex --directories --peer --json -C --help" -- "$cur")) ;;
    hash|FileHash)
      if [[ $prev == verify ]]; then
        _lansync_offer_names "--repair --peer --json -C --help"
      else
        COMPREPLY=($(compgen -W "verify checkall --repair --peer --json -C --help" -- "$cur"))
      fi ;;
    confirm) COMPREPLY=($(compgen -W "deletes network room absence strays --yes -y --json -C --help" -- "$cur")) ;;
    uploads) COMPREPLY=($(compgen -W "allow deny --json -C --help" -- "$cur")) ;;
    search) _lansync_offer_names "--regex --json -C --help" ;;
    download|FileDownload) _lansync_offer_names "--peer --enet --udp --tcp --output --json -C --help" ;;
    why|get|drop|where) _lansync_offer_names "--json -C --help" ;;
    upload|FileUpload|put)
      if [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "--to --copies --json -C --help" -- "$cur"))
      else
        COMPREPLY=($(compgen -f -- "$cur"))
      fi ;;
    copies) _lansync_offer_names "--no-wait --json -C --help" ;;
    *) COMPREPLY=($(compgen -W "--json -C --help" -- "$cur")) ;;
  esac
}

complete -o filenames -F _lansync lansync
