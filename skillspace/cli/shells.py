"""The completion script of each shell: small, and asking `skillspace` for everything.

Read by `scripts/generate`, which writes them into `completions/`, and by `skillspace
completion`, which prints them. They hold no command's name, so they are never out of date.
"""

from typing import Final

BASH: Final = r"""_skillspace_complete() {
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
"""

ZSH: Final = r"""#compdef skillspace
_skillspace() {
    local line value about
    local -a values shown
    while IFS= read -r line; do
        case $line in
            :file) _files; return ;;
            :folder) _files -/; return ;;
        esac
        value=${line%%$'\t'*}
        about=${line#"$value"}
        values+=("$value")
        shown+=("$value${about:+  -- ${about#$'\t'}}")
    done < <(COMP_WORDS="${(F)words}" COMP_CWORD=$((CURRENT - 1)) \
        _SKILLSPACE_COMPLETE=zsh "${words[1]}" 2>/dev/null)
    (( ${#values} )) && compadd -V skillspace -l -d shown -a values
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _skillspace "$@"
else
    compdef _skillspace skillspace
fi
"""

FISH: Final = r"""function __skillspace_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l answer (COMP_WORDS=(string join \n -- $words | string collect) \
        COMP_CWORD=(math (count $words) - 1) _SKILLSPACE_COMPLETE=fish $words[1] 2>/dev/null)
    for line in $answer
        switch $line
            case :file
                __fish_complete_path (commandline -ct)
            case :folder
                __fish_complete_directories (commandline -ct)
            case '*'
                printf '%s\n' $line
        end
    end
end
complete --no-files --keep-order --command skillspace --arguments '(__skillspace_complete)'
"""

POWERSHELL: Final = r"""Register-ArgumentCompleter -Native -CommandName skillspace -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $words = @($commandAst.CommandElements | ForEach-Object { $_.ToString() })
    if ($wordToComplete -eq '') { $words += '' }
    $env:COMP_WORDS = $words -join "`n"
    $env:COMP_CWORD = $words.Count - 1
    $env:_SKILLSPACE_COMPLETE = 'powershell'
    try { $lines = & $words[0] 2>$null } finally {
        Remove-Item Env:COMP_WORDS, Env:COMP_CWORD, Env:_SKILLSPACE_COMPLETE
    }
    foreach ($line in $lines) {
        # Nothing returned makes PowerShell complete files itself.
        if ($line -eq ':file' -or $line -eq ':folder') { return }
        $value, $about = $line -split "`t", 2
        if (-not $about) { $about = $value }
        [System.Management.Automation.CompletionResult]::new(
            $value, $value, 'ParameterValue', $about)
    }
}
"""

SCRIPTS: Final = {
    "bash": ("skillspace.bash", BASH),
    "zsh": ("_skillspace", ZSH),
    "fish": ("skillspace.fish", FISH),
    "powershell": ("skillspace.ps1", POWERSHELL),
}
"""File name in `completions/` and script, by shell."""
