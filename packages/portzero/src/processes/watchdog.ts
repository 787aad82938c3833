import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import { emitWarning, env, platform } from 'node:process'

/** The variable by which the descendants of an owner are found, also those that left its groups. They inherit it. */
export const MARKER = 'PORTZERO_OWNED_BY'

/** Stands in the marker of all that this thread's children start. */
export const lease: string = randomUUID()

/**
 * Blocks on `read` until its owner is gone, in whatever way: the kernel closes the pipe. Then it kills what is left, if anything may
 * be, until it has twice found nothing: a process that is about to run its program cannot be seen for a moment. Descriptors that the
 * owner was given to pass on are let go of: somebody may wait for their end.
 */
const SCRIPT = `
trap '' HUP INT QUIT TERM TSTP USR1 USR2
exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
groups=$2
marks=$3
file=$4
while read -r what group; do
  case $what in
    watch) groups="$groups$group " ;;
    leave) case $groups in *" $group "*) groups="\${groups%% $group *} \${groups#* $group }" ;; esac ;;
    mark) marks="$marks-e $group " ;;
    spare) marks="\${marks%% -e $group *} \${marks#* -e $group }" ;;
    remove) file=$group ;;
  esac
done
[ "$file" ] && rm -f -- "$file"
[ "$groups$marks" = '  ' ] && exit
for group in $groups; do kill -s KILL -- "-$group"; done
clean=0
rounds=0
while [ $clean -lt 2 ] && [ $rounds -lt 200 ]; do
  clean=$((clean + 1))
  rounds=$((rounds + 1))
  for path in $(grep -slF -e "$1" $marks /proc/[0-9]*/environ); do
    clean=0
    pid=\${path#/proc/}
    kill -s KILL "\${pid%/environ}"
  done
  sleep 0.05
done
`

/** So often a watchdog that was ended by somebody is replaced. */
const REPLACEMENTS = 3

const LOST = 'The watchdog that ends child processes with their owner ends each time it is started.'

const groups = new Set<number>()
const marks = new Set<string>()
let file = ''
let running: ChildProcess | undefined
let replacements = 0

/**
 * Makes sure that there is a watchdog: a process that kills the children of this thread when it ends, however it ends.
 * To be called before a child is started, so that there is no moment in which one could be left behind. Throws if it
 * cannot be started. It ends with its owner, and does not keep it alive. Not for Windows.
 *
 * An owner that is killed before `watch()` could tell of a child leaves it to the marker: it is found by its environment, if
 * it has not dropped that at once, and if the system shows it in `/proc`.
 */
export function guard(): void {
  if (running === undefined && replacements === REPLACEMENTS) throw new Error(LOST)
  running ??= start()
}

/** Adds a group of processes to those that end with this thread. */
export function watch(group: number): void {
  groups.add(group)
  tell(running, 'watch', group)
}

/** To be called when a group is gone: its number may be given to others. */
export function leave(group: number): void {
  if (groups.delete(group)) tell(running, 'leave', group)
}

/**
 * Adds what has `mark` in its environment to what ends with this thread, and all that descends from it. To be called before it is
 * started. Where the system does not show environments, nothing is found.
 */
export function watchMark(mark: string): void {
  marks.add(mark)
  tell(running, 'mark', mark)
}

/**
 * Has all that this process starts from now on end with it, also what an app in a thread of it starts. For a process that does nothing but
 * serve. Not for Windows.
 */
export function ownAll(): void {
  if (platform === 'win32') return
  guard()
  watchMark(lease)
  env[MARKER] = `${env[MARKER] ?? ''} ${lease}`.trim()
}

/** To be called when nothing is left that has the mark, or it may live on. */
export function spare(mark: string): void {
  if (marks.delete(mark)) tell(running, 'spare', mark)
}

/**
 * Has a file removed when this thread ends, one at a time; none by an empty path. To be called behind `guard()`, and before the file is
 * made.
 */
export function removeAtEnd(path: string): void {
  file = path
  tell(running, 'remove', path)
}

function start(): ChildProcess {
  // A session of its own, so that no signal to the owner's group reaches it. An empty environment, so that it carries no
  // marker, neither ours nor that of an owner further up.
  // What there is already it is given with its start: its owner may end before it could tell.
  const known = [` ${listed(groups, '')}`, ` ${listed(marks, '-e ')}`, file]
  const dog = spawn('/bin/sh', ['-c', SCRIPT, 'portzero-watchdog', lease, ...known], {
    cwd: '/',
    detached: true,
    env: { PATH: `${env['PATH'] ?? ''}:/usr/bin:/bin` },
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  if (dog.pid === undefined) {
    const failed = new Error(
      'Cannot start the watchdog that ends child processes with their owner.',
    )
    dog.once('error', (cause) => (failed.cause = cause))
    throw failed
  }
  dog.unref()
  const pipe = dog.stdin as Socket
  pipe.unref()
  // Its exit says it too.
  pipe.on('error', () => {})
  dog.once('exit', () => replace(dog))
  return dog
}

/** As the script keeps them. */
function listed(all: Iterable<number | string>, before: string): string {
  return [...all].map((one) => `${before}${one} `).join('')
}

function replace(lost: ChildProcess): void {
  if (running !== lost) return
  running = undefined
  if (groups.size + marks.size + file.length === 0) return
  if (replacements === REPLACEMENTS) {
    emitWarning(`${LOST} What runs now may be left behind.`)
    return
  }
  replacements += 1
  try {
    running = start()
  } catch {
    // The next child that is started tells.
  }
}

/** The line is in the pipe when this returns: the kernel keeps it also if the owner ends now. */
function tell(
  dog: ChildProcess | undefined,
  what: 'watch' | 'leave' | 'mark' | 'spare' | 'remove',
  whom: number | string,
): void {
  dog?.stdin?.write(`${what} ${whom}\n`)
}
