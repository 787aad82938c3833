"""Serves an ASGI app by uvicorn on a listening socket that is handed over.

    python serve_asgi.py <module:attribute> [factory]

Descriptor 3 is the socket, bound and listening. Descriptor 4 is the line to the owner, a line of JSON for each message.
The owner is told:

    {"type": "listening", "pid": 1}              the app is started, and what waits on the socket is answered
    {"type": "failed", "code": …, "message": …}  it could not be started, and why; the exit code is 3
    {"type": "inFlight", "inFlight": […]}        what the app is busy with, soon after that changes
    {"type": "drained", "cut": […], "hook": …}   it answers nobody any more, what was cut off for that, and what ends next
    {"type": "done", "id": 1, "result": …}       an order is carried out; with the report of a closing
    {"type": "closeFailed", "id": 1, …}          it is closed, but its lifespan could not be shut down, and why

Its orders are those that any server has from its owner:

    {"type": "end", "id": 1, "grace": 1000, …}  requests in flight get the grace in ms, counted from `since`, then the lifespan
                                                is shut down, and the interpreter ends normally, with code 0
    {"type": "idle", "id": 1}                   is done when no request is in flight
    {"type": "hear", "id": 1, "test": "…"}      names the test that makes the requests from now on
    {"type": "cut"}                             resets all connections

SIGTERM ends it too, with no limit for what is in flight, as uvicorn has none.
Runs with uvicorn 0.17 and later, whatever it is started by: nothing but uvicorn and the standard library is needed.
"""

import asyncio
import atexit
import contextlib
import gc
import importlib
import inspect
import io
import json
import os
import socket
import struct
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

SOCKET = 3
OWNER = 4

FAILED = 3  # uvicorn's own exit code of a failed start

# How often it is looked whether what is in flight has ended, and told what is, in seconds. uvicorn looks every 0.1 s.
LOOK = 0.005
# How often is told what stays in flight, in seconds.
AGAIN = 0.05
# What the tasks of requests that were cut off get to clean up, and what the lifespan gets at least, in seconds.
AFTERWARDS = 0.05
# How long a connection is kept after an answer while closing, in seconds: the next request may be on the wire.
LINGER = 0.025
# How long a client that pipelines is told of no last answer while closing, in seconds: what is behind that would be lost.
PIPELINING = 0.5
# What is given at most where the event loop stood still as the grace ended, in seconds: what is ready by then has not run yet.
STOOD_STILL = 0.025
# From a connection in the kernel's queue to the request it brings, the event loop takes five turns.
TURNS = 10


class Owner:
    """The line to the owner. One that does not read holds nothing up, and one that is gone needs no telling."""

    def __init__(self):
        self.loop = None
        self.unsent = b""
        self.is_full = False
        self.emptied = lambda: None

    def tell(self, report):
        self.unsent += json.dumps(report).encode() + b"\n"
        if not self.is_full:
            self.send()

    def send(self):
        try:
            while self.unsent:
                self.unsent = self.unsent[os.write(OWNER, self.unsent) :]
        except BlockingIOError:
            if not self.is_full:
                self.is_full = True
                self.loop.add_writer(OWNER, self.send)
            return
        except OSError:
            self.unsent = b""
        if self.is_full:
            self.is_full = False
            self.loop.remove_writer(OWNER)
            self.emptied()

    def listen(self, loop, obey):
        """From now on the event loop must run; each order is obeyed in it."""
        self.loop = loop
        os.set_blocking(OWNER, False)
        begun = b""

        def read():
            nonlocal begun
            try:
                data = os.read(OWNER, 65536)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                loop.remove_reader(OWNER)
            *lines, begun = (begun + data).split(b"\n")
            for line in lines:
                obey(json.loads(line))

        loop.add_reader(OWNER, read)

    def finish(self):
        """From now on, when there is no event loop any more, all is sent at once: what is left, too."""
        os.set_blocking(OWNER, True)
        self.is_full = False
        self.send()


class CannotStart(Exception):
    """Why the app cannot be served: what the owner is told."""

    def __init__(self, code, message, **details):
        super().__init__(message)
        self.report = {"code": code, "message": message, **details}


def in_words(error):
    return "".join(traceback.format_exception_only(type(error), error)).strip()


def traceback_of(error):
    """The traceback without what is before the app's own code: this file and importlib."""
    frames = error.__traceback__
    while frames and frames.tb_frame.f_code.co_filename.startswith(NOT_THE_APP):
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(error), error, frames))


NOT_THE_APP = (__file__, importlib.__file__, "<frozen importlib")


def find_app(name):
    """Imports what `module:attribute` names."""
    module_name, _, attributes = name.partition(":")
    module = import_module(module_name)
    found = module
    for attribute in attributes.split("."):
        try:
            found = getattr(found, attribute)
        except AttributeError:
            raise CannotStart(
                "APP_NOT_FOUND",
                f"{describe(found)} has no attribute '{attribute}'",
                names=names_in(found),
            ) from None
    if not callable(found):
        raise CannotStart(
            "APP_NOT_FOUND", f"{name} is of the type {type(found).__name__}, which is no app", names=names_in(module)
        )
    return found


def import_module(name):
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # Another than the one that was asked for, or a package that holds it, is a dependency that is missing.
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise CannotStart("APP_NOT_FOUND", f"there is no module '{error.name}'") from None
        raise app_failed(error) from None
    except (Exception, SystemExit) as error:
        raise app_failed(error) from None


def app_failed(error):
    return CannotStart("APP_FAILED", in_words(error), traceback=traceback_of(error))


def describe(found):
    if inspect.ismodule(found):
        return f"the module '{found.__name__}'"
    return f"what is of the type {type(found).__name__}"


def names_in(found):
    """What it has that may be an app, or build one: objects first, then functions."""
    names = [
        (inspect.isfunction(value), name)
        for name, value in getattr(found, "__dict__", {}).items()
        if not name.startswith("_") and callable(value) and not inspect.isclass(value)
    ]
    return [name for _, name in sorted(names)]


class Request:
    """A request, or a WebSocket, that an app is busy with. What there is to tell of it is put together when it is told: most never are."""

    def __init__(self, scope, send, test):
        # uvicorn's own `send` is a method of what answers.
        self.transport = getattr(getattr(send, "__self__", None), "transport", None)
        self.kind = "upgrade" if scope["type"] == "websocket" else "request"
        self.method = scope.get("method", "GET")
        self.raw_path = scope.get("raw_path")
        self.decoded_path = scope["path"]
        self.query = scope.get("query_string", b"")
        self.since = time.monotonic()
        self.head = ()
        self.body_sent = 0
        self.test = test
        # Whether the owner knows of it.
        self.is_told = False

    def sends_head(self, headers):
        self.head = headers
        # What answers another method that way has an end of its own.
        if self.method != "GET":
            return
        for name, value in headers:
            if name.lower() == b"content-type" and value.startswith(b"text/event-stream"):
                self.kind = "stream"

    async def sent(self):
        """Returns when the connection has taken all: uvicorn does not wait for the client to read the last that the app sends."""
        with contextlib.suppress(asyncio.CancelledError):
            while self.transport is not None and self.transport.get_write_buffer_size() > 0:
                await asyncio.sleep(LOOK)

    def blocker(self):
        told = {"kind": self.kind, "method": self.method, "path": self.path()}
        told["ageMs"] = (time.monotonic() - self.since) * 1000
        return told if self.test is None else {**told, "test": self.test}

    def path(self):
        """Path and query as they were asked for."""
        path = self.raw_path or quote(self.decoded_path)
        # Some versions of uvicorn have it as text where a WebSocket asks.
        path = path if isinstance(path, str) else path.decode("latin-1")
        return f"{path}?{self.query.decode('latin-1')}" if self.query else path

    def in_flight(self):
        head_sent = sum(len(name) + len(value) + len(": \r\n") for name, value in self.head)
        return {**self.blocker(), "bytesSent": head_sent + self.body_sent}


class InFlight:
    """Knows the requests that an app is busy with, and tells the owner."""

    def __init__(self, owner):
        self.owner = owner
        owner.emptied = self.tell_if_due
        self.app = None
        self.requests = {}
        self.test = None
        # Whether the answer to a request is the last on its connection, and has to say so.
        self.is_last = lambda scope: False
        self.has_changed = False
        self.is_due = False
        self.again = None
        self.left = asyncio.Event()

    async def __call__(self, scope, receive, send):
        request = Request(scope, send, self.test)

        async def send_and_see(message):
            if message["type"] == "http.response.start":
                headers = message.get("headers", [])
                is_last = self.is_last(scope)
                # They may be what can be gone through once.
                if is_last or not isinstance(headers, list):
                    last = [(b"connection", b"close")] if is_last else []
                    headers = [*headers, *last]
                    message = {**message, "headers": headers}
                request.sends_head(headers)
                # Whoever waits for requests does not wait for event streams.
                if request.kind == "stream":
                    self.left.set()
                    self.changed()
            elif message["type"] == "http.response.body":
                request.body_sent += len(message.get("body", b""))
            await send(message)

        self.requests[request] = None
        self.tell_soon()
        try:
            await self.app(scope, receive, send_and_see)
            await request.sent()
        finally:
            del self.requests[request]
            self.left.set()
            if request.is_told:
                self.changed()

    def changed(self):
        self.has_changed = True
        self.tell_soon()

    def tell_soon(self):
        """Most requests are over by then: telling the owner of each would take a quarter of the time of a short one."""
        if not self.is_due:
            self.is_due = True
            asyncio.get_running_loop().call_later(LOOK, self.tell_if_due)

    def tell_if_due(self):
        """An owner that does not read is told how it is when it does."""
        self.is_due = False
        if self.owner.is_full:
            return
        untold = [request for request in self.requests if not request.is_told]
        if self.has_changed or any(time.monotonic() - request.since >= LOOK for request in untold):
            self.tell()
        elif untold:
            self.tell_soon()

    def tell(self):
        self.has_changed = False
        for request in self.requests:
            request.is_told = True
        self.owner.tell({"type": "inFlight", "inFlight": [request.in_flight() for request in self.requests]})
        if self.again is not None:
            self.again.cancel()
        # How much of an answer was sent shows later.
        self.again = asyncio.get_running_loop().call_later(AGAIN, self.tell_again) if self.requests else None

    def tell_again(self):
        self.has_changed = True
        self.tell_if_due()

    async def idle(self):
        while any(request.kind == "request" for request in self.requests):
            self.left.clear()
            await self.left.wait()

    def blockers(self):
        return [request.blocker() for request in self.requests]


def load(config, name, in_flight):
    """Loads the app as uvicorn does, in the running event loop, and tells apart what can go wrong."""
    config.app = find_app(name)
    try:
        config.load()
    except SystemExit as error:
        # uvicorn exits when a factory cannot be called; its reason is behind that.
        raise app_failed(error.__context__ or error) from None
    except ModuleNotFoundError as error:
        raise CannotStart("PYTHON_MODULE_MISSING", in_words(error), module=error.name) from None
    except Exception as error:
        raise app_failed(error) from None

    class Lifespan(config.lifespan_class):
        """Keeps the reason of a failure, which uvicorn only logs, and watches the app that was started."""

        reason = None
        has_started = False

        async def startup(self):
            app = config.loaded_app
            config.loaded_app = self.keeps_reason(app)
            await super().startup()
            in_flight.app = app
            config.loaded_app = in_flight

        def keeps_reason(self, app):
            async def keeping(scope, receive, send):
                try:
                    await app(scope, receive, send)
                except BaseException as error:
                    # Before, it may be that it knows no lifespan, which is its right.
                    if self.has_started and self.reason is None:
                        self.reason = traceback_of(error)
                    raise

            return keeping

        async def send(self, message):
            if message["type"] in ("lifespan.startup.failed", "lifespan.shutdown.failed"):
                self.reason = message.get("message") or "it gave no reason"
            self.has_started = self.has_started or message["type"] == "lifespan.startup.complete"
            await super().send(message)

    config.lifespan_class = Lifespan


def server_class(uvicorn):
    class Server(uvicorn.Server):
        """uvicorn's server, but that it obeys its owner, and stops without waiting for the next tick."""

        def __init__(self, config, name, owner):
            super().__init__(config)
            self.name = name
            self.owner = owner
            # The order to end, and when its grace is over. A signal has none.
            self.order = {}
            self.until = float("inf")
            # Whether something was cut off.
            self.has_cut = False

        async def serve(self, sockets=None):
            self.loop = asyncio.get_running_loop()
            self.loop.set_default_executor(Threads(self))
            self.stopping = asyncio.Event()
            self.in_flight = InFlight(self.owner)
            self.owner.listen(self.loop, self.obey)
            load(self.config, self.name, self.in_flight)
            await super().serve(sockets=sockets)

        def obey(self, order):
            if order["type"] == "end":
                self.order = order
                late = max(0, time.time() * 1000 - order["since"])
                self.until = self.loop.time() + (order["grace"] - late) / 1000
                self.stopping.set()
            elif order["type"] == "cut":
                for connection in list(self.server_state.connections):
                    reset(connection.transport)
                # A closing has nothing left to wait for.
                self.until = self.loop.time() if self.order else self.until
            elif order["type"] in ("idle", "hear"):
                self.loop.create_task(self.answer(order))

        async def answer(self, order):
            # What was sent before has arrived then.
            await turns()
            if order["type"] == "idle":
                await self.in_flight.idle()
            else:
                self.in_flight.test = order.get("test")
            self.in_flight.tell()
            self.owner.tell({"type": "done", "id": order["id"]})

        def handle_exit(self, sig, frame):
            super().handle_exit(sig, frame)
            # Later versions raise the signal again at the end, so that nothing is left to run at exit.
            getattr(self, "_captured_signals", []).clear()
            self.loop.call_soon_threadsafe(self.stopping.set)

        async def startup(self, sockets=None):
            starting = self.loop.create_task(super().startup(sockets=sockets))
            stopping = self.loop.create_task(self.stopping.wait())
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            if not starting.done():
                # A lifespan that hangs is cancelled with all other tasks when the event loop ends.
                starting.cancel()
                return
            starting.result()
            if self.started:
                # Earlier versions would not shut the lifespan down, had they been told to stop by now.
                self.should_exit = False
                self.owner.tell({"type": "listening", "pid": os.getpid()})
                return
            reason = self.lifespan.reason or "it gave no reason"
            raise CannotStart("LIFESPAN_FAILED", last_line(reason), traceback=reason)

        async def main_loop(self):
            # What uvicorn does every second, such as setting the clock of the answers.
            while not await self.on_tick(0):
                try:
                    await asyncio.wait_for(self.stopping.wait(), 1)
                    self.should_exit = True
                except asyncio.TimeoutError:
                    pass

        async def shutdown(self, sockets=None):
            began = time.monotonic()
            self.pipelining_until = self.loop.time() + PIPELINING
            self.in_flight.is_last = self.is_last
            await turns()
            for server in self.servers:
                server.close()
            for sock in sockets or []:
                sock.close()
            connections, tasks = self.server_state.connections, self.server_state.tasks
            told = set()
            over = float("inf")
            while True:
                self.close_idle(told)
                now = self.loop.time()
                if now >= self.until:
                    over = min(over, now + min(now - self.until, STOOD_STILL))
                if not (connections or tasks) or now >= over or self.force_exit:
                    break
                await asyncio.sleep(LOOK)
            cut = self.in_flight.blockers()
            self.has_cut = bool(cut)
            await self.cut_off(connections, tasks)
            # A lifespan that blocks would keep it from the owner.
            self.in_flight.tell()
            self.owner.tell({"type": "drained", "cut": cut, "hook": "lifespan"})
            blockers = cut + await self.end_lifespan()
            outcome = "forced" if blockers else "graceful"
            duration = (time.monotonic() - began) * 1000
            self.tell_closed({"outcome": outcome, "durationMs": duration, "blockers": blockers})

        def close_idle(self, told):
            """Has the connections closed on which nothing comes any more, each once. A WebSocket is told that it is to end."""
            for connection in list(self.server_state.connections):
                if connection not in told and not connection.transport.is_closing() and not self.is_used(connection):
                    told.add(connection)
                    connection.shutdown()

        def is_used(self, connection):
            """Whether a request is in flight on it, or may be on the wire, as another has been answered a moment ago."""
            cycle = getattr(connection, "cycle", None)
            if cycle is None:
                return False
            if not cycle.response_complete:
                return True
            # It is set by each answer.
            timer = connection.timeout_keep_alive_task
            if timer is None or self.is_of_owner(connection):
                return False
            return self.loop.time() < timer.when() - connection.timeout_keep_alive + LINGER

        def is_last(self, scope):
            """Not where its client has sent another request behind it, which is answered too."""
            return self.loop.time() > self.pipelining_until or not any(
                connection.client == scope.get("client") and has_more(connection)
                for connection in self.server_state.connections
            )

        def is_of_owner(self, connection):
            """The owner's own client asks nothing any more."""
            return connection.client is not None and connection.client[1] in self.order.get("ports", [])

        async def end_lifespan(self):
            """Gives it what is left, and at least a moment. Returns it as a blocker if it does not end."""
            began = self.loop.time()
            ending = self.loop.create_task(self.lifespan.shutdown())
            left = None if self.until == float("inf") else max(self.until - began, AFTERWARDS)
            await asyncio.wait({ending}, timeout=left)
            if ending.done():
                return []
            ending.cancel()
            return [{"kind": "hook", "method": "lifespan", "path": "", "ageMs": (self.loop.time() - began) * 1000}]

        def tell_closed(self, report):
            if not self.order:
                return
            answer = {"id": self.order["id"]}
            reason = self.lifespan.reason
            if reason is None:
                self.owner.tell({"type": "done", **answer, "result": report})
                return
            why = {"message": last_line(reason), "traceback": reason}
            self.owner.tell({"type": "closeFailed", **answer, **why, "report": report})

        async def cut_off(self, connections, tasks):
            # The connections first: of a task that is cancelled uvicorn makes an answer 500, as if the app had failed.
            busy = {request.transport for request in self.in_flight.requests}
            for connection in list(connections):
                # One that is answered may not have read it yet.
                if connection.transport in busy:
                    reset(connection.transport)
                else:
                    connection.transport.close()
            if not tasks:
                return
            for task in tasks:
                task.cancel()
            await asyncio.wait(list(tasks), timeout=AFTERWARDS)

    return Server


class Threads(ThreadPoolExecutor):
    """Those of `asyncio.to_thread`. Nothing can end one that works for what was cut off."""

    def __init__(self, server):
        super().__init__()
        self.server = server

    def shutdown(self, wait=True, **options):
        super().shutdown(wait=wait and not self.server.has_cut, **options)


def end_without_threads():
    """Ends the process with what is due at exit, but for threads: the interpreter would wait for those that work for what was cut off."""
    until = time.monotonic() + AFTERWARDS
    others = [thread for thread in threading.enumerate() if thread is not threading.current_thread() and not thread.daemon]
    for thread in others:
        thread.join(max(0, until - time.monotonic()))
    if not any(thread.is_alive() for thread in others):
        return
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(0)


async def turns():
    """By then has arrived what was sent before."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


def has_more(connection):
    """Whether it has brought requests behind the one that is answered: httptools has read them, h11 not yet."""
    if getattr(connection, "pipeline", None):
        return True
    unread, _ = getattr(getattr(connection, "conn", None), "trailing_data", (b"", False))
    return bool(unread)


def last_line(reason):
    return reason.strip().splitlines()[-1]


def reset(transport):
    """Ends a connection so that nobody takes what was sent for the whole answer."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def listening_socket():
    # Told that it is TCP, as not every system can say so by itself, and asyncio sets TCP_NODELAY on nothing else.
    handed_over = socket.socket(fileno=SOCKET)
    family = handed_over.family
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=handed_over.detach())
    sock.set_inheritable(False)
    os.set_inheritable(OWNER, False)
    return sock


def imports_of_the_app():
    """Imports start in the working directory, not beside this file, and the app takes uvicorn for the program."""
    beside = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [os.getcwd()] + [path for path in sys.path if path != beside]


def end_soon():
    """Spares the interpreter the search for garbage when it ends, which takes ten times as long as all else.

    What is due at exit is done as ever. Files that the search would have come upon are written here.
    """
    if not hasattr(gc, "freeze"):
        return
    for found in gc.get_objects():
        if type(found) in (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom):
            with contextlib.suppress(OSError, ValueError):
                found.flush()
    gc.freeze()


def main(name, *flags):
    owner = Owner()
    sock = listening_socket()
    imports_of_the_app()
    sys.argv[:] = ["uvicorn", name]
    try:
        try:
            import uvicorn
        except ModuleNotFoundError as error:
            raise CannotStart("PYTHON_MODULE_MISSING", in_words(error), module=error.name) from None
        # Not the number of workers that the environment may ask for.
        config = uvicorn.Config(name, factory="factory" in flags, workers=1)
        server = server_class(uvicorn)(config, name, owner)
        try:
            server.run(sockets=[sock])
        finally:
            owner.finish()
        end_soon()
        if server.has_cut:
            end_without_threads()
    except CannotStart as failure:
        owner.tell({"type": "failed", **failure.report, "app": name, "cwd": os.getcwd(), "python": sys.executable})
        sys.exit(FAILED)


if __name__ == "__main__":
    main(*sys.argv[1:])
