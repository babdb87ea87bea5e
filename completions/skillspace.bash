# Completion of skillspace for bash. Written by scripts/generate; edit the code it is derived from instead.
_skillspace_complete() {
    local IFS=$'\n' line value about current=${COMP_WORDS[COMP_CWORD]}
    local -a values=() lines=()
    [[ $current == = ]] && current=
    COMPREPLY=()
    while IFS= read -r line; do
        case $line in
            :file) compopt -o filenames; COMPREPLY=($(compgen -f -- "$current")); return ;;
            :folder) compopt -o filenames; COMPREPLY=($(compgen -d -- "$current")); return ;;
        esac
        value=${line%%$'\t'*}
        about=${line#"$value"}
        values+=("$(printf %q "$value")")
        lines+=("$value${about:+  (${about#$'\t'})}")
    done < <(COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD \
        _SKILLSPACE_COMPLETE=bash "$1" 2>/dev/null)
    # Descriptions are shown in a list, and never inserted.
    if [[ ${#lines[@]} -gt 1 && ${COMP_TYPE:-0} -eq 63 ]]; then
        COMPREPLY=("${lines[@]}")
    else
        COMPREPLY=("${values[@]}")
    fi
    [[ ${#values[@]} -eq 1 && ${values[0]} == *= ]] && compopt -o nospace
    return 0
}
complete -o nosort -F _skillspace_complete skillspace
