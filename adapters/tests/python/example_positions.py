"""Positions as adapters/examples/positions/track.rs has them: `take HOST COUNT`, or `go HOST PORT`."""
import math, socket, struct, sys, time

LAYOUT = ">4sHQff"  # POSN, sequence number, milliseconds, x, y
what, host = sys.argv[1:3]
family = socket.AF_INET6 if ":" in host else socket.AF_INET
with socket.socket(family, socket.SOCK_DGRAM) as sock:
    if what == "take":
        sock.settimeout(30)
        sock.bind((host, 0))
        print(sock.getsockname()[1])
        then = -1
        for number in range(int(sys.argv[3])):
            name, seq, now, x, y = struct.unpack(LAYOUT, sock.recv(65535))
            assert (name, seq) == (b"POSN", number) and now > then, (name, seq, now)
            assert math.isclose(math.hypot(x, y), 10, rel_tol=1e-5), (x, y)
            then = now
        print("all right")
    else:  # one way, at 50 to the second, over a network that loses, doubles, delays and damages
        sock.connect((host, int(sys.argv[3])))
        print("%s:%d" % ("[%s]" % host if ":" in host else host, sock.getsockname()[1]))
        for number in range(60):
            seq, now = (65506 + number) % 65536, 500 + 33 * number
            datagram = struct.pack(LAYOUT, b"POSN", seq, now, now / 20, -now / 20)
            old = struct.pack(LAYOUT, b"POSN", (seq - 2) % 65536, now + 9, 1e6, 1e6)
            if number % 4 != 2:
                sock.send(datagram)
            if number % 3 == 0:
                sock.send(datagram)
            if number % 5 == 4:
                sock.send(old)
            for bad in (b"", datagram[:-1], datagram + b"x", b"NSOP" + datagram[4:], b"x" * 2000):
                sock.send(bad)
            sock.send(struct.pack(LAYOUT, b"POSN", (seq + 1) % 65536, now + 1, math.nan, math.inf))
            sock.send(struct.pack(LAYOUT, b"POSN", (seq + 1) % 65536, 0, 1e6, 1e6))
            time.sleep(0.033)
        print(now)
