"""Serves an ASGI app by uvicorn on a listening socket that is handed over.

    python serve_asgi.py <module:attribute> <grace in ms> [factory]

Descriptor 3 is the socket, bound and listening. On descriptor 4 the owner is told what happens, a line of JSON each:

    {"type": "listening", "pid": 1}              the app is started, and what waits on the socket is answered
    {"type": "failed", "code": …, "message": …}  it could not be started, and why; the exit code is 3
    {"type": "drained", "cut": […]}              it answers nobody any more, and what was cut off for that
    {"type": "stopped", "error": …}              its lifespan is shut down, or why not; the exit code is 0

SIGTERM stops it: requests in flight get the grace, then the lifespan is shut down, and the interpreter ends normally.
Runs with uvicorn 0.17 and later, whatever it is started by: nothing but uvicorn and the standard library is needed.
"""

import asyncio
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
import time
import traceback

SOCKET = 3
OWNER = 4

FAILED = 3  # uvicorn's own exit code of a failed start

# How often it is looked whether what is in flight has ended, in seconds. uvicorn looks every 0.1 s.
LOOK = 0.005
# What the tasks of requests that were cut off get to clean up, in seconds.
AFTERWARDS = 0.1
# From a connection in the kernel's queue to the request it brings, the event loop takes five turns.
TURNS = 10


def tell(report):
    """Tells the owner. One that is gone needs no telling."""
    line = json.dumps(report).encode() + b"\n"
    try:
        while line:
            line = line[os.write(OWNER, line) :]
    except OSError:
        pass


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


class InFlight:
    """Knows the requests that an app is busy with."""

    def __init__(self, app):
        self.app = app
        self.requests = {}

    async def __call__(self, scope, receive, send):
        request = object()
        self.requests[request] = (scope, time.monotonic())
        try:
            await self.app(scope, receive, send)
        finally:
            del self.requests[request]

    def blockers(self):
        now = time.monotonic()
        return [
            {
                "kind": scope["type"],
                "method": scope.get("method", "GET"),
                "path": scope["path"],
                "ageMs": (now - since) * 1000,
            }
            for scope, since in self.requests.values()
        ]


def load(config, name):
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

        async def startup(self):
            await super().startup()
            config.loaded_app = InFlight(config.loaded_app)

        async def send(self, message):
            if message["type"] in ("lifespan.startup.failed", "lifespan.shutdown.failed"):
                self.reason = message.get("message") or "it gave no reason"
            await super().send(message)

    config.lifespan_class = Lifespan


def server_class(uvicorn):
    class Server(uvicorn.Server):
        """uvicorn's server, but that it tells its owner how it goes, and stops without waiting for the next tick."""

        def __init__(self, config, name, grace):
            super().__init__(config)
            self.name = name
            self.grace = grace

        async def serve(self, sockets=None):
            self.loop = asyncio.get_running_loop()
            self.stopping = asyncio.Event()
            load(self.config, self.name)
            await super().serve(sockets=sockets)

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
                tell({"type": "listening", "pid": os.getpid()})
                return
            reason = self.lifespan.reason or "it gave no reason"
            raise CannotStart("LIFESPAN_FAILED", reason.strip().splitlines()[-1], traceback=reason)

        async def main_loop(self):
            # What uvicorn does every second, such as setting the clock of the answers.
            while not await self.on_tick(0):
                try:
                    await asyncio.wait_for(self.stopping.wait(), 1)
                    self.should_exit = True
                except asyncio.TimeoutError:
                    pass

        async def shutdown(self, sockets=None):
            until = self.loop.time() + self.grace
            for _ in range(TURNS):
                await asyncio.sleep(0)
            for server in self.servers:
                server.close()
            for sock in sockets or []:
                sock.close()
            connections, tasks = self.server_state.connections, self.server_state.tasks
            for connection in list(connections):
                connection.shutdown()
            while (connections or tasks) and self.loop.time() < until and not self.force_exit:
                await asyncio.sleep(LOOK)
            cut = self.config.loaded_app.blockers()
            await self.cut_off(connections, tasks)
            tell({"type": "drained", "cut": cut})
            await self.lifespan.shutdown()
            tell({"type": "stopped", "error": self.lifespan.reason})

        async def cut_off(self, connections, tasks):
            # The connections first: of a task that is cancelled uvicorn makes an answer 500, as if the app had failed.
            for connection in list(connections):
                reset(connection.transport)
            if not tasks:
                return
            for task in tasks:
                task.cancel()
            await asyncio.wait(list(tasks), timeout=AFTERWARDS)

    return Server


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


def main(name, grace, *flags):
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
        server_class(uvicorn)(config, name, float(grace) / 1000).run(sockets=[sock])
        end_soon()
    except CannotStart as failure:
        tell({"type": "failed", **failure.report, "app": name, "cwd": os.getcwd(), "python": sys.executable})
        sys.exit(FAILED)


if __name__ == "__main__":
    main(*sys.argv[1:])
