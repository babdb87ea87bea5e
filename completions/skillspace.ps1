# Completion of skillspace for powershell. Written by scripts/generate; edit the code it is derived from instead.
Register-ArgumentCompleter -Native -CommandName skillspace -ScriptBlock {
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
