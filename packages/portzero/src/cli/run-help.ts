export const HELP = `Usage: portzero run [options] <target> -- <command…>
       portzero run [options] --server <name>=<target>… -- <command…>

Starts a server on a free port, runs the command with its URL in BASE_URL and its port in PORT, stops
the server, and exits as the command did. Several servers start at the same time; all of them and the
command know their URLs as <NAME>_URL.

A target is a module (./src/server.ts), a command in quotes ('npm start', 'vite preview --port {port}'),
or an ASGI app (asgi:main:app). One word behind -- that has spaces is a line for the shell.

  --server <name>=<target>  one of several servers
  --name <name>             names a single server
  --host <address>          where to bind; 127.0.0.1
  --port <number>           instead of a free one
  --ready <path|pattern>    a path that must answer below 400, or a pattern that a line of output must match
  --cwd <folder>            where targets are looked for and run; the current folder
  --env <NAME=value>        a variable for the servers
  --grace <ms>              what requests in flight get when the servers stop; 1000
  --start-timeout <ms>      what a start may take; 30000
  --https, --http2          of modules; the command trusts the certificate if it is a Node program
  --quiet                   show the output of servers only if something fails
  --json                    tell of the servers in lines of JSON, on stderr
  -h, --help

--port, --ready and --cwd are for all servers, or for the one that is named: --ready api=/health.

Exit code: the command's; 1 if a server does not start, or dies; 2 for wrong usage; 126 or 127 if the
command cannot be run or is not found.
`
