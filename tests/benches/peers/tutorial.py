# A tutorial's server for many clients at once, which does not block: with `select`, with `selectors`, or
# with `select` and what tutorials print for each message (`prints`); and the prefix of each answer.
import os
import select
import selectors
import socket
import sys

how, prefix = sys.argv[1], sys.argv[2].encode()
server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("127.0.0.1", 0))
server.listen(1024)
server.setblocking(False)
print("listening on 127.0.0.1:%d" % server.getsockname()[1], flush=True)

if how == "prints":
    sys.stdout = open(os.devnull, "w")

if how != "selectors":
    sockets = [server]
    while True:
        readable, _, failed = select.select(sockets, [], sockets)
        for sock in readable:
            if sock is server:
                client, address = server.accept()
                client.setblocking(False)
                sockets.append(client)
                continue
            data = sock.recv(1024)
            if data and how == "prints":
                message = data.decode("latin-1")
                print(f"Received: {message}")
                sock.send(f"Non-blocking echo: {message}".encode("latin-1"))
            elif data:
                sock.send(prefix + data)
            else:
                sockets.remove(sock)
                sock.close()
        for sock in failed:
            sockets.remove(sock)
            sock.close()

selector = selectors.DefaultSelector()


def accept(sock):
    client, address = sock.accept()
    client.setblocking(False)
    selector.register(client, selectors.EVENT_READ, echo)


def echo(sock):
    data = sock.recv(1024)
    if data:
        sock.send(prefix + data)
    else:
        selector.unregister(sock)
        sock.close()


selector.register(server, selectors.EVENT_READ, accept)
while True:
    for key, mask in selector.select():
        key.data(key.fileobj)
