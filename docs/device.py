"""A halloo/1 device in plain Python: it joins a room, posts, reads, and resumes after a cut.
It follows core/PROTOCOL.md; ids such as [D-ACK-4] stand there. As a command it posts what you type
and prints what happens in the room: python3 docs/device.py 127.0.0.1 7007 lab ann"""
import os, random, select, socket, struct, sys, time
HELLO, WELCOME, JOIN, JOINED, POST, ACK, REJECT = 0x81, 0x83, 0x84, 0x86, 0x87, 0x88, 0x89
ENTRY, CREDIT, GAP, PING, PONG, ERROR, BYE = 0x8A, 0x8B, 0x8C, 0x90, 0x11, 0x92, 0x93
FINAL = (BYE, 3), (ERROR, 4), (ERROR, 8), (ERROR, 12)  # the next attempt would end so too [S-BYE-6]
MAX_FRAME, ENTRIES, OUTBOX, SEQ = 65648, 64, 32, 0xFFFFFFFF  # numbers wrap at SEQ [L-SEQ-1]

def check(good, why="the hub broke the protocol", error=ConnectionError):
    if not good:
        raise error(why)

class Device:  # takes posts by post(), works while poll() is called, and tells by tell()
    def __init__(self, host, port, room, name, tell=print, identity=None):
        self.names = b"".join(bytes([len(each)]) + each for each in (room.encode(), name.encode()))
        self.identity, self.flags = identity or os.urandom(16), 0 if identity else 1  # [S-EPH-1]
        check(len(self.identity) == 16, "an identity has 16 bytes", ValueError)
        self.address, self.tell, self.outbox = (host, port), tell, []
        self.up_seq = self.sent = self.cursor = 0  # sent: how many of the outbox are on the way
        self.log, self.sock, self.ceiling = None, None, 0.25  # log: whose are up_seq and cursor

    def post(self, body):
        check(len(self.outbox) < OUTBOX, "the outbox is full: poll", BlockingIOError)
        self.outbox.append(body)

    def poll(self, seconds, wake=()):  # sends, then waits for the hub, or for input in `wake`
        try:
            self.sock or self.connect()
            while self.sent < min(self.window, len(self.outbox)):
                body, seq = self.outbox[self.sent], (self.up_seq + self.sent + 1) & SEQ
                if len(body) > self.max_body:  # [D-POST-8]
                    self.tell("rejected", self.outbox.pop(self.sent))
                    continue
                self.since, self.sent = self.since if self.sent else time.monotonic(), self.sent + 1
                self.send(POST, "BIH%ds" % len(body), 0, seq, len(body), body)
            if self.sock in select.select([self.sock, *wake], [], [], seconds)[0]:
                self.take(self.receive())
            check(not self.sent or time.monotonic() < self.since + 30, "no ack comes")  # [T-ACK-1]
            check(time.monotonic() < self.heard + self.silence, "the hub is silent")  # [T-KEEP-4]
        except (OSError, struct.error, IndexError) as why:
            self.sock = self.sock and self.sock.close()
            self.tell("lost", why)
            self.ceiling = 0.5 if time.monotonic() > self.start + 60 else min(2 * self.ceiling, 60)
            time.sleep(self.wait + random.uniform(0, self.ceiling))  # [T-WAIT-1]

    def send(self, kind, layout, *fields):
        frame = struct.pack(">B" + layout, kind, *fields)
        self.sock.sendall(struct.pack(">I", len(frame)) + frame)  # [F-LEN-1]

    def read(self, size):
        check(size <= MAX_FRAME)  # [F-LEN-3]
        data = b""
        while len(data) < size:
            data += self.sock.recv(size - len(data)) or check(False, "the hub closed")
        return data

    def receive(self):
        frame, self.heard = self.read(int.from_bytes(self.read(4), "big")), time.monotonic()
        if frame[0] in (ERROR, BYE):
            self.wait = int.from_bytes(frame[2:6], "big") / 1000  # [S-BYE-3]
            what = "%s %d from the hub" % ("Bye" if frame[0] == BYE else "Error", frame[1])
            check(False, what, SystemExit if (frame[0], frame[1]) in FINAL else ConnectionError)
        return frame

    def connect(self):
        self.wait, self.start, nonce = 0, time.monotonic(), random.SystemRandom().getrandbits(64)
        self.sock, frame = socket.create_connection(self.address, timeout=10), b"\0"  # [T-HAND-1]
        self.send(HELLO, "4s3BIHQ16sI2H", b"HALO", 1, 1, 0, 0, self.flags, nonce, self.identity,
                  MAX_FRAME, ENTRIES, 60)
        while frame[0] != WELCOME or nonce != struct.unpack_from(">5xQ", frame)[0]:  # [S-OPEN-2]
            frame = self.receive()  # all else is passed over [S-OPEN-3] [S-OPEN-6]
        version, suite, *log, keep, self.max_body, window = struct.unpack_from(">xBB18xQI3H", frame)
        check((version, suite) == (1, 0))  # [S-OPEN-4]
        self.window, self.silence = min(max(window, 1), 32), 1.5 * keep  # [L-WINDOW-1]
        self.sock.settimeout(30)  # [T-WRITE-1] [T-ACK-1]
        cursor = self.cursor if self.log in (None, log) else 0  # [D-STORE-2]
        self.send(JOIN, "BBQI%ds" % len(self.names), 0, 0, cursor, SEQ, self.names)
        while frame[0] != JOINED:  # all else is passed over [D-JOIN-1]
            frame = self.receive()
            check(frame[0] != REJECT, "the room is refused with code %d" % frame[-1], SystemExit)
        up_seq, rejects, start = struct.unpack_from(">6xIIQ", frame)
        if self.log == log and (up_seq - self.up_seq) & SEQ <= self.sent:
            self.verdicts(up_seq, rejects)  # [D-ACK-4]
        elif self.log:
            self.tell("store changed")  # all in the outbox are new posts there [D-STORE-4]
        self.log, self.up_seq, self.sent, self.cursor = log, up_seq, 0, start
        self.tell("joined")

    def take(self, frame):  # a Reject has its Ack; what else is not known here is passed over
        if frame[0] == PING:
            self.send(PONG, "4s", frame[1:5])
        elif frame[0] == ACK:
            self.verdicts(*struct.unpack_from(">xxII", frame))
        elif frame[0] == ENTRY:
            first, own, who, size = struct.unpack_from(">5xQBx%dsH" % frame[14], frame)
            last, what = first, ["own"] if own & 1 else ["entry", who, frame[17 + len(who):][:size]]
        elif frame[0] == GAP:
            first, last, *what = *struct.unpack_from(">xxQQ", frame), "gap"
        if frame[0] in (ENTRY, GAP) and last > self.cursor:
            check(first == self.cursor + 1)  # [D-ENTRY-3] [D-GAP-3]
            self.cursor = last
            self.tell(last, *what)
            if last % (ENTRIES // 4) == 0 or frame[0] == GAP:  # [D-CREDIT-3]
                self.send(CREDIT, "BQH", 0, last, ENTRIES)

    def verdicts(self, up_seq, rejects):  # bit n of `rejects` is that of up_seq - n [D-ACK-2]
        check((up_seq - self.up_seq) & SEQ <= self.sent)
        for n in reversed(range((up_seq - self.up_seq) & SEQ)):
            self.up_seq, self.sent, self.since = up_seq - n & SEQ, self.sent - 1, time.monotonic()
            self.tell("rejected" if rejects >> n & 1 else "acked", self.outbox.pop(0))

if __name__ == "__main__":
    device, typed = Device(*sys.argv[1:]), [open(0, "rb", buffering=0)]
    while typed or device.outbox:
        ready = typed if len(device.outbox) < OUTBOX else []
        device.poll(1, ready)
        if ready and select.select(ready, [], [], 0)[0]:
            device.post(line.rstrip(b"\r\n")) if (line := typed[0].readline()) else typed.clear()
