# Completion of skillspace for fish. Written by scripts/generate; edit the code it is derived from instead.
function __skillspace_complete
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
