complete --command haul --no-files --keep-order --arguments '(COMPLETE=fish haul -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token --cut-at-cursor) 2>/dev/null)'
# haul does not expand `~`; the shell completes the path.
complete --command haul --condition 'string match --quiet -- "~*" (commandline --current-token)' --force-files
