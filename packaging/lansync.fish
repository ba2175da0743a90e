# fish completion for lansync. tests/e2e/completions_test.py holds it to what the program knows.

set -l commands run status why wait peers index hash download upload uploads search put get drop copies where \
    history conflicts trash plan confirm reject pause resume rescan stop doctor genpass version \
    IndexGet FileHash FileDownload FileUpload

function __lansync_peers
    lansync peers --json 2>/dev/null | string replace -a '},{' \n | string match -rg '"name":"([^"\\\\]+)"'
end

complete -c lansync -f
complete -c lansync -s C -r -a '(__fish_complete_directories)' -d 'the folder of the node'
complete -c lansync -l help -d 'help'
complete -c lansync -l json -d 'one JSON document' -n "__fish_seen_subcommand_from $commands"
complete -c lansync -l version -d 'version' -n "not __fish_seen_subcommand_from $commands"

for pair in 'run:keep a folder in sync, in the foreground' \
    'status:role and why, hub, state, files, transfers, peers' \
    'why:why a path is not the same everywhere' \
    'wait:until other nodes are known and everything is in sync' \
    'peers:the other nodes, and who was turned away and why' \
    'index:the files that a node has' \
    'hash:MD5 of files, read anew' \
    'download:fetch a file now' \
    'upload:offer a file to a node' \
    'uploads:offers that wait here' \
    'search:who has a file' \
    'put:copy files into the folder and see them placed' \
    'get:fetch content on an on-demand node' \
    'drop:free the space of fetched content' \
    'copies:wanted and verified copies of a file' \
    'where:which nodes hold a file' \
    'history:requests made by this node and to it' \
    'conflicts:conflict copies in the folder' \
    'trash:what sync deleted or replaced; bring it back' \
    'plan:what a sync would do now' \
    'confirm:let held things through' \
    'reject:undo a run of deletes' \
    'pause:stop syncing' \
    'resume:go on syncing' \
    'rescan:look at the whole folder now' \
    'stop:end the node' \
    'doctor:what was sent and heard, and what to do' \
    'genpass:print a password for a group' \
    'version:version of program and protocol'
    set -l parts (string split -m 1 : $pair)
    complete -c lansync -n "not __fish_seen_subcommand_from $commands" -a $parts[1] -d $parts[2]
end

# run, which is also what lansync does without a command
set -l run "not __fish_seen_subcommand_from $commands; or __fish_seen_subcommand_from run"
complete -c lansync -n $run -a '(__fish_complete_directories)'
complete -c lansync -n $run -l role -x -a 'auto server proxy client' -d 'role to take'
complete -c lansync -n $run -l group -x -d 'the group to be in'
complete -c lansync -n $run -l password-file -r -F -d 'the password of the group'
complete -c lansync -n $run -l name -x -d 'the name of this node'
complete -c lansync -n $run -l interface -x -a '(command ls /sys/class/net)' -d 'use this interface'
complete -c lansync -n $run -l peer -x -a '(__fish_print_hostnames)' -d 'also dial this address'
complete -c lansync -n $run -l port -x -d 'UDP and TCP port'
complete -c lansync -n $run -l carrier -x -a 'auto enet lane tcp' -d 'how content is asked for'
complete -c lansync -n $run -l on-demand -d 'know everything, fetch content only when asked'
complete -c lansync -n $run -l copies -x -d 'wanted copies of a new file under a proxy'
complete -c lansync -n $run -l settle -x -d 'quiet time after an edit'
complete -c lansync -n $run -l settle-max -x -d 'longest quiet time'
complete -c lansync -n $run -l rescan -x -d 'time between looks at the whole folder'
complete -c lansync -n $run -l uploads -x -a 'allow ask deny' -d 'what an incoming upload gets'
complete -c lansync -n $run -l limit -x -d 'bytes a second sent at most'
complete -c lansync -n $run -l max-deletes -x -d 'more than this is held'
complete -c lansync -n $run -l max-file-size -x -d 'do not take larger files'
complete -c lansync -n $run -l log-level -x -a 'trace debug info warn error' -d 'what is logged'
complete -c lansync -n $run -l log-file -r -F -d 'log there'
complete -c lansync -n $run -l keylog -r -F -d 'write session secrets there'
complete -c lansync -n $run -l force-dir -d 'take the folder even where it looks like a mistake'

complete -c lansync -n '__fish_seen_subcommand_from status' -l watch -d 'again each second'
complete -c lansync -n '__fish_seen_subcommand_from wait' -l peers -x -d 'how many other nodes'
complete -c lansync -n '__fish_seen_subcommand_from wait' -l timeout -x -d 'give up after'
complete -c lansync -n '__fish_seen_subcommand_from wait' -l all -d 'until every connected node has it'
complete -c lansync -n '__fish_seen_subcommand_from trash' -l restore -x -d 'bring back'
complete -c lansync -n '__fish_seen_subcommand_from trash history' -l since -x -d 'only since'
complete -c lansync -n '__fish_seen_subcommand_from index IndexGet' -a 'longlist shortlist regex'
complete -c lansync -n '__fish_seen_subcommand_from index IndexGet' -l directories -d 'list these as well'
complete -c lansync -n '__fish_seen_subcommand_from hash FileHash' -a 'verify checkall'
complete -c lansync -n '__fish_seen_subcommand_from hash FileHash' -l repair -d 'fetch what rotted anew'
complete -c lansync -n '__fish_seen_subcommand_from index hash download IndexGet FileHash FileDownload' -l peer -x -a '(__lansync_peers)' -d 'that node'
complete -c lansync -n '__fish_seen_subcommand_from download FileDownload' -l enet -d 'over ENet'
complete -c lansync -n '__fish_seen_subcommand_from download FileDownload' -l udp -d 'over the lane'
complete -c lansync -n '__fish_seen_subcommand_from download FileDownload' -l tcp -d 'over TCP'
complete -c lansync -n '__fish_seen_subcommand_from download FileDownload' -l output -r -F -d 'write there'
complete -c lansync -n '__fish_seen_subcommand_from upload FileUpload' -l to -x -a '(__lansync_peers)' -d 'that node'
complete -c lansync -n '__fish_seen_subcommand_from upload FileUpload put' -F
complete -c lansync -n '__fish_seen_subcommand_from uploads' -a 'allow deny'
complete -c lansync -n '__fish_seen_subcommand_from search' -l regex -x -d 'a pattern'
complete -c lansync -n '__fish_seen_subcommand_from put' -l copies -x -d 'wanted copies'
complete -c lansync -n '__fish_seen_subcommand_from copies' -l no-wait -d 'do not wait'
complete -c lansync -n '__fish_seen_subcommand_from confirm' -a 'deletes network room absence strays' -d 'what is held'
complete -c lansync -n '__fish_seen_subcommand_from confirm' -s y -l yes -d 'do not ask'
