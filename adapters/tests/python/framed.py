"""Messages behind 4 bytes of length, both ways: `serve HOST` answers each in capitals, `ask HOST PORT` asks."""
import socket, struct, sys

def receive_exactly(sock, size):
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            return None
        data += piece
    return data

def receive(sock):
    header = receive_exactly(sock, 4)
    return header and receive_exactly(sock, struct.unpack("!I", header)[0])

def send(sock, message):
    sock.sendall(struct.pack("!I", len(message)) + message)

if sys.argv[1] == "serve":
    family = socket.AF_INET6 if ":" in sys.argv[2] else socket.AF_INET
    with socket.create_server((sys.argv[2], 0), family=family) as server:
        print(server.getsockname()[1])
        server.settimeout(30)
        peer, _ = server.accept()
        with peer:
            message = receive(peer)
            while message is not None:
                send(peer, message.upper())
                message = receive(peer)
else:
    with socket.create_connection((sys.argv[2], int(sys.argv[3])), timeout=30) as sock:
        for message in [b"hello", b"", b"x" * 3000]:
            send(sock, message)
            assert receive(sock) == message.upper(), message
        # Two in one segment, and one byte by byte.
        sock.sendall(struct.pack("!I", 3) + b"one" + struct.pack("!I", 3) + b"two")
        assert [receive(sock), receive(sock)] == [b"ONE", b"TWO"]
        for byte in struct.pack("!I", 4) + b"slow":
            sock.sendall(bytes([byte]))
        assert receive(sock) == b"SLOW"
        print("all right")
