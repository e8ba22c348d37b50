"""The tutorial's echo server that does not block: one thread and select(), host. Prints its port."""
import select, socket, sys

server = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
server.setblocking(False)
server.bind((sys.argv[1], 0))
server.listen(5)
print(server.getsockname()[1], flush=True)
sockets = [server]
while True:
    readable, _, exceptional = select.select(sockets, [], sockets)
    for ready in readable:
        if ready is server:
            client, address = ready.accept()
            client.setblocking(False)
            sockets.append(client)
        else:
            data = ready.recv(1024)
            if data:
                ready.send(b"Non-blocking echo: " + data)
            else:
                sockets.remove(ready)
                ready.close()
