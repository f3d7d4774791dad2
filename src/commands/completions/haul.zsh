#compdef haul
_haul() {
    local word=$PREFIX
    local -a lines closed open
    # haul does not expand `~`; the shell completes the path.
    if [[ $word == '~'* ]]; then
        _files
        return
    fi
    [[ -z $compstate[quote] ]] && word=${(Q)word}
    lines=("${(@f)$(COMPLETE=zsh haul -- "${(@Q)words[1,CURRENT-1]}" "$word" 2>/dev/null)}")
    closed=("${(@)${(@M)lines:#+*}#+}")
    open=("${(@)${(@M)lines:#-*}#-}")
    (( $#closed )) && _describe -V haul closed
    (( $#open )) && _describe -V haul open -S ''
}
if [[ $funcstack[1] == _haul ]]; then
    _haul "$@"
else
    compdef _haul haul
fi
