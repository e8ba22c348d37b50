"""The tutorial's echo client, one or many at the same time: host, port, prefix, threads."""
import socket, sys, threading

host, port, prefix, threads = sys.argv[1], int(sys.argv[2]), sys.argv[3].encode(), int(sys.argv[4])
wrong = []

def client(number):
    with socket.create_connection((host, port), timeout=30) as sock:
        for n in range(20):
            message = b"client %d, message %d" % (number, n)
            sock.sendall(message)
            expected, got = prefix + message, b""
            while len(got) < len(expected):
                data = sock.recv(1024)
                if not data:
                    break
                got += data
            if got != expected:
                wrong.append((expected, got))
        sock.shutdown(socket.SHUT_WR)
        if sock.recv(1024) != b"":
            wrong.append("more than was asked for")

clients = [threading.Thread(target=client, args=(number,)) for number in range(threads)]
for each in clients:
    each.start()
for each in clients:
    each.join()
print("wrong: %s" % wrong[:3] if wrong else "all right")
