#!/usr/bin/env python3
"""Boots an MQTT image beside a mosquitto of its own: boot.py IMAGE STACK_END STACK_START

Once what the broker says to the board is lost, and then their connection. Prints how many readings came,
were lost and came twice, and how many bytes of stack were used. Fails where none comes, a command is not
obeyed, or none comes afterwards.
"""

import json, os, socket, struct, subprocess, sys, tempfile, threading, time

LOCALHOST = "127.0.0.1"


def string(text):
    return struct.pack(">H", len(text)) + text.encode()


def packet(kind, body):
    assert len(body) < 128
    return bytes([kind, len(body)]) + body


class Watcher:
    """A client of MQTT 3.1.1 that reads what is posted to `readings`."""

    def __init__(self, port):
        self.line = socket.create_connection((LOCALHOST, port))
        self.stream = self.line.makefile("rb")
        self.line.sendall(packet(0x10, string("MQTT") + bytes([4, 2, 0, 0]) + string("watcher")))
        self.line.sendall(packet(0x82, b"\0\1" + string("readings") + b"\1"))

    def command(self, text):
        self.line.sendall(packet(0x30, string("commands") + text.encode()))

    def reading(self, seconds):
        """The next reading: its number, and how many commands it comes after."""
        self.line.settimeout(seconds)
        while True:
            kind, size = self.stream.read(2)
            body = self.stream.read(size)
            if kind >> 4 != 3:
                continue
            (topic,) = struct.unpack(">H", body[:2])
            body = body[2 + topic :]
            if kind & 6:
                self.line.sendall(packet(0x40, body[:2]))
                body = body[2:]
            count, obeyed = body.split()
            return int(count), int(obeyed)


class Proxy:
    """Between QEMU's UART and the broker: each connection there is one here."""

    def __init__(self, port):
        self.port = port
        self.listener = socket.create_server((LOCALHOST, 0))
        self.lines = []
        self.is_mute = False
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            board, _ = self.listener.accept()
            broker = socket.create_connection((LOCALHOST, self.port))
            self.lines = [board, broker]
            self.is_mute = False
            for one, other in ((board, broker), (broker, board)):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self.carry, args=(one, other, one is broker), daemon=True).start()

    def carry(self, one, other, is_broker):
        try:
            while data := one.recv(4096):
                if not (is_broker and self.is_mute):
                    other.sendall(data)
        except OSError:
            pass
        self.end(one, other)

    def cut(self):
        self.end(*self.lines)

    def end(self, *lines):
        for line in lines:
            try:
                line.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Board:
    def __init__(self, image, port):
        self.qemu = subprocess.Popen(
            ["qemu-system-arm", "-cpu", "cortex-m3", "-machine", "lm3s6965evb", "-display", "none"]
            + ["-monitor", "none", "-qmp", "stdio", "-kernel", image]
            + ["-chardev", f"socket,id=uart,host={LOCALHOST},port={port},nodelay=on,reconnect=1"]
            + ["-serial", "chardev:uart"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.say("qmp_capabilities")

    def say(self, command, **arguments):
        self.qemu.stdin.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.qemu.stdin.flush()
        for line in self.qemu.stdout:
            answer = json.loads(line)
            assert "error" not in answer, answer
            if "return" in answer:
                return
        raise RuntimeError("QEMU has ended")

    def stack(self, end, start, folder):
        """Bytes below the lowest word that is not as cortex-m-rt painted it."""
        file = os.path.join(folder, "stack")
        self.say("pmemsave", val=end, size=start - end, filename=file)
        with open(file, "rb") as memory:
            words = memory.read()
        clean = 0
        while words[clean : clean + 4] == b"\xcc" * 4:
            clean += 4
        assert clean > 0, "the stack has run over its end"
        return len(words) - clean


def mosquitto(folder):
    with socket.create_server((LOCALHOST, 0)) as free:
        port = free.getsockname()[1]
    config = os.path.join(folder, "mosquitto.conf")
    with open(config, "w") as file:
        file.write(f"listener {port} {LOCALHOST}\nallow_anonymous true\n")
        file.write("set_tcp_nodelay true\nlog_dest none\n")
    broker = subprocess.Popen(["mosquitto", "-c", config])
    for _ in range(1000):
        try:
            socket.create_connection((LOCALHOST, port)).close()
            return broker, port
        except OSError:
            time.sleep(0.01)
    raise RuntimeError("mosquitto does not listen")


def run(image, end, start, folder, ends):
    broker, port = mosquitto(folder)
    ends.append(broker)
    watcher = Watcher(port)
    proxy = Proxy(port)
    board = Board(image, proxy.listener.getsockname()[1])
    ends.append(board.qemu)
    seen = []

    def until(is_enough, seconds):
        while not seen or not is_enough(*seen[-1]):
            seen.append(watcher.reading(seconds))

    until(lambda count, _: count >= 20, 30)
    watcher.command("interval=50")
    until(lambda _, obeyed: obeyed == 1, 30)
    proxy.is_mute = True
    mute = seen[-1][0]
    until(lambda count, _: count >= mute + 3, 30)
    proxy.cut()
    cut = seen[-1][0]
    # Its keepalive of 25 s tells it that the line is dead.
    until(lambda count, _: count >= cut + 50, 90)
    counts = [count for count, _ in seen]
    lost = len(set(range(max(counts))) - set(counts))
    twice = len(counts) - len(set(counts))
    print(len(counts), lost, twice, board.stack(end, start, folder))


def main():
    image, end, start = sys.argv[1], int(sys.argv[2], 16), int(sys.argv[3], 16)
    ends = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            run(image, end, start, folder, ends)
        finally:
            for process in ends:
                process.kill()
                process.wait()


main()
