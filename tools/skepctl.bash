# SPDX-License-Identifier: BSD-2-Clause
# Completion of skepctl for bash: options, commands, and the names of VMs, which skep itself is asked
# for. `source tools/skepctl.bash`, or put it into /etc/bash_completion.d.

_skepctl()
{
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} i w
    local line=() words=()

    case $before in
    -d | --device)
        COMPREPLY=($(compgen -f -- "$word"))
        return
        ;;
    -b | --baud)
        COMPREPLY=($(compgen -W "9600 19200 38400 57600 115200" -- "$word"))
        return
        ;;
    -t | --timeout | -e | --escape | -n | --interval) return ;;
    esac
    if [[ $word == -* ]]; then
        COMPREPLY=($(compgen -W "--device --baud --timeout --escape --json --watch --interval \
            --quiet --help" -- "$word"))
        return
    fi
    # What is about the line is handed on; of the others the words count.
    for ((i = 1; i < COMP_CWORD; i++)); do
        w=${COMP_WORDS[i]}
        case $w in
        -d | --device | -b | --baud | -e | --escape) line+=("$w" "${COMP_WORDS[++i]}") ;;
        -t | --timeout | -n | --interval) ((i++)) ;;
        -*) ;;
        *) words+=("$w") ;;
        esac
    done
    case ${#words[@]} in
    0) w=commands ;;
    1) [[ ${words[0]} == help ]] && w=commands || w=vms ;;
    2)
        [[ ${words[0]} == wait ]] && COMPREPLY=($(compgen -W "running paused reset exited stopped" \
            -- "$word"))
        return
        ;;
    *) return ;;
    esac
    COMPREPLY=($(compgen -W "$(skepctl "${line[@]}" -q -t 3 --complete "$w" 2>/dev/null)" \
        -- "$word"))
}
complete -F _skepctl skepctl
