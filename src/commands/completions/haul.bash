_haul() {
    local line
    COMPREPLY=()
    # haul does not expand `~`; the shell completes the path.
    if [[ ${COMP_WORDS[COMP_CWORD]} == '~'* ]]; then
        compopt -o default 2>/dev/null
        return
    fi
    while IFS= read -r line; do
        COMPREPLY+=("$line")
    done < <(COMPLETE=bash haul -- "$COMP_WORDBREAKS" "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=:/] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -o bashdefault -o nosort -F _haul haul 2>/dev/null || complete -o bashdefault -F _haul haul
