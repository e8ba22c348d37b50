"""A halloo/1 device in plain Python: it joins a room, posts, reads, and resumes after a cut.

It follows core/PROTOCOL.md; ids such as [D-ACK-4] stand there. As a command it posts what you type
and prints what happens in the room: python3 docs/device.py 127.0.0.1 7007 lab ann
"""
import collections, contextlib, os, random, select, socket, struct, sys, time

HELLO, WELCOME, JOIN, JOINED, POST, ACK, REJECT = 0x81, 0x83, 0x84, 0x86, 0x87, 0x88, 0x89
ENTRY, CREDIT, GAP, PING, PONG, ERROR, BYE = 0x8A, 0x8B, 0x8C, 0x90, 0x11, 0x92, 0x93
MAX_FRAME, ENTRIES, KEEPALIVE, SEQ = 65648, 64, 60, 0xFFFFFFFF  # numbers wrap at SEQ [L-SEQ-1]
FINAL = (BYE, 3), (ERROR, 4), (ERROR, 8), (ERROR, 12)  # the next attempt would end so too [S-BYE-6]

class Fault(Exception):
    """The hub broke the protocol: the code that it is told [E-WIRE-1]."""

def check(good, code):
    if not good:
        raise Fault(code)

class Device:
    """Takes posts by post(), works while poll() is called, and tells what happens by tell()."""
    def __init__(self, host, port, room, name, tell=print, identity=None, outbox=32):
        self.address, self.room, self.name = (host, port), room.encode(), name.encode()
        self.identity, self.flags = identity or os.urandom(16), 0 if identity else 1  # [S-EPH-1]
        self.outbox, self.most = collections.deque(), outbox  # posts without verdict, in order
        self.up_seq = self.sent = self.cursor = 0  # sent: how many of the outbox are on the way
        self.log = None  # the (store, generation) that up_seq and cursor speak of [D-STORE-2]
        self.sock, self.ceiling, self.tell = None, 0.25, tell

    def post(self, body):
        if len(self.outbox) >= self.most:
            raise BlockingIOError("the outbox is full: poll until a post has its verdict")
        self.outbox.append(body)

    def poll(self, seconds, wake=()):
        """Does what is due, then waits so long for the hub, or for input in `wake`."""
        try:
            if not self.sock:
                self.connect()
            self.work(time.monotonic())
            if self.sock in select.select([self.sock, *wake], [], [], seconds)[0]:
                self.take(self.receive())
        except (OSError, Fault, struct.error, IndexError) as why:
            self.lost(why)

    def send(self, kind, layout, *fields):
        frame = struct.pack(">B" + layout, kind, *fields)
        self.sock.sendall(struct.pack(">I", len(frame)) + frame)  # [F-LEN-1]
        self.spoke = time.monotonic()

    def read(self, size):
        data = b""
        while len(data) < size:
            part = self.sock.recv(size - len(data))
            if not part:
                raise ConnectionError("the hub closed")
            data += part
        return data

    def receive(self):
        size = int.from_bytes(self.read(4), "big")
        check(size <= MAX_FRAME, 3)  # [F-LEN-3]
        frame, self.heard = self.read(size), time.monotonic()
        if frame[0] in (ERROR, BYE):
            self.wait = int.from_bytes(frame[2:6], "big") / 1000  # [S-BYE-3]
            raise (SystemExit if (frame[0], frame[1]) in FINAL else ConnectionError)(
                "%s %d from the hub" % ("Error" if frame[0] == ERROR else "Bye", frame[1]))
        return frame

    def connect(self):
        self.wait, self.start, nonce = 0, time.monotonic(), None
        self.sock = socket.create_connection(self.address, timeout=10)  # [T-HAND-1]
        ours = random.SystemRandom().getrandbits(64)  # [S-OPEN-2]
        self.send(HELLO, "4s3BIHQ16sI2H", b"HALO", 1, 1, 0, 0, self.flags, ours, self.identity,
                  MAX_FRAME, ENTRIES, KEEPALIVE)
        while nonce != ours:  # all else is passed over [S-OPEN-3] [S-OPEN-6]
            frame = self.receive()
            if frame[0] == WELCOME:
                lineage = extension(3, frame[39:])  # [W-LINEAGE-1]
                (version, suite, _, nonce, _, *log, self.keepalive, self.max_body,
                 window) = struct.unpack_from(">xBBHQQQIHHH", frame)
        self.window = min(max(window, 1), 32)  # [L-WINDOW-1]
        self.sock.settimeout(30)  # [T-WRITE-1] [T-ACK-1]
        check((version, suite) == (1, 0), 4)  # [S-OPEN-4]

        cursor = self.cursor if self.log in (None, log) else 0  # [D-STORE-2]
        self.send(JOIN, "BBQIB%dsB%ds" % (len(self.room), len(self.name)), 0, 0, cursor, SEQ,
                  len(self.room), self.room, len(self.name), self.name)
        while frame[0] != JOINED:  # all else is passed over [D-JOIN-1]
            frame = self.receive()
            if frame[0] == REJECT:
                self.wait = 10  # [D-JOIN-10]
                raise (ConnectionError if self.log and frame[6] == 7 else SystemExit)(
                    "the room is refused with code %d" % frame[6])  # [D-JOIN-11]
        self.number, up_seq, rejects, start = struct.unpack_from(">xxIIIQ", frame)
        older = [[log[0], each] for each, in struct.iter_unpack(">I", lineage)]  # [D-STORE-5]
        if self.log in [log, *older] and (up_seq - self.up_seq) & SEQ <= self.sent:
            self.verdicts(up_seq, rejects)  # [D-ACK-4]
        elif self.log:
            self.tell("store changed")  # all in the outbox are new posts there [D-STORE-4]
        self.log, self.up_seq, self.sent, self.cursor = log, up_seq, 0, start
        self.tell("joined")

    def take(self, frame):
        if frame[0] == PING:
            self.send(PONG, "4s", frame[1:5])
        elif frame[0] == ACK:
            self.verdicts(*struct.unpack_from(">xxII", frame))
        elif frame[0] == ENTRY:
            number, offset, flags, who, size = struct.unpack_from(">xIQBx%dsH" % frame[14], frame)
            body, = struct.unpack_from("%ds" % size, frame, 17 + len(who))
            if number == self.number:
                self.moved(offset, offset, *("own",) if flags & 1 else ("entry", who, body))
        elif frame[0] == GAP:
            self.moved(*struct.unpack_from(">xxQQ", frame), "gap")
        else:  # a Reject has its Ack; a Welcome is none of ours; who knows no bit 7 passes it over
            check(frame[0] in (REJECT, WELCOME) or frame[0] < 0x80, 2)  # [W-KIND-3] [W-KIND-4]

    def verdicts(self, up_seq, rejects):
        """Drops posts from the outbox; bit n of `rejects` is that of up_seq - n [D-ACK-2]."""
        count = (up_seq - self.up_seq) & SEQ
        check(count <= self.sent, 5)
        for behind in reversed(range(count)):
            self.tell("rejected" if rejects >> behind & 1 else "acked", self.outbox.popleft())
        self.up_seq, self.sent, self.waiting = up_seq, self.sent - count, time.monotonic()

    def moved(self, first, last, *what):
        """Hands on an entry or a gap if it is the next [D-ENTRY-3] [D-GAP-3]."""
        if last > self.cursor:
            check(first == self.cursor + 1 and last < (1 << 64) - 1, 5)
            self.cursor = last
            self.tell(last, *what)
            if last % (ENTRIES // 4) == 0 or what[0] == "gap":  # [D-CREDIT-3]
                self.send(CREDIT, "BQH", 0, last, ENTRIES)

    def work(self, now):
        silent = self.keepalive and now > self.heard + 1.5 * self.keepalive  # [T-KEEP-4]
        if silent or self.sent and now > self.waiting + 30:  # [T-ACK-1]
            raise TimeoutError("the hub takes too long")
        if self.keepalive and now > self.spoke + self.keepalive:
            self.send(PING, "I", 0)  # [T-KEEP-2]
        while self.sent < min(self.window, len(self.outbox)):
            body = self.outbox[self.sent]
            if len(body) > self.max_body:  # its number goes to the next post [D-POST-8]
                del self.outbox[self.sent]
                self.tell("rejected", body)
            else:
                self.sent, self.waiting = self.sent + 1, self.waiting if self.sent else now
                seq = (self.up_seq + self.sent) & SEQ
                self.send(POST, "BIH%ds" % len(body), 0, seq, len(body), body)

    def lost(self, why):
        """Closes, and waits a random time before the next attempt [T-WAIT-1]."""
        if not isinstance(why, OSError):
            self.close(ERROR, "BIB", why.args[0] if isinstance(why, Fault) else 1, 0, 0)
        self.sock = self.sock and self.sock.close()
        self.tell("lost", why)
        self.ceiling = 0.5 if time.monotonic() > self.start + 60 else min(2 * self.ceiling, 60)
        time.sleep(self.wait + random.uniform(0, self.ceiling))

    def close(self, kind, layout, *fields):
        with contextlib.suppress(OSError), self.sock:
            self.send(kind, layout, *fields)

def extension(wanted, rest):
    while rest and rest[0] != wanted:
        check(rest[0] % 2 or rest[0] == 2, 2)  # [W-EXT-2] [W-EXT-3]; 2 is a proof [W-PROOF-2]
        rest = rest[2 + rest[1]:]
    return rest[2:2 + rest[1]] if rest else b""

def main():
    device, typed, more = Device(*sys.argv[1:]), open(0, "rb", buffering=0), True
    while more or device.outbox:
        wake = [typed] if more and len(device.outbox) < device.most else []
        device.poll(1, wake)
        if wake and select.select(wake, [], [], 0)[0]:
            line = typed.readline()
            more = line != b""
            if more:
                device.post(line.rstrip(b"\r\n"))
    if device.sock:
        device.close(BYE, "BI", 1, 0)

if __name__ == "__main__":
    main()
