"""Messages behind 4 bytes of length, both ways: `serve` answers each in capitals, `ask PORT` asks."""
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
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", 0))
        server.listen()
        print(server.getsockname()[1])
        server.settimeout(30)
        peer, _ = server.accept()
        with peer:
            message = receive(peer)
            while message is not None:
                send(peer, message.upper())
                message = receive(peer)
else:
    with socket.create_connection(("127.0.0.1", int(sys.argv[2])), timeout=30) as sock:
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
