"""The tutorial's echo server with a thread for each client: host. Prints its port."""
import socket, sys, threading

def handle(client):
    while True:
        data = client.recv(1024)
        if not data:
            break
        client.send(b"Echo: " + data)
    client.close()

server = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
server.bind((sys.argv[1], 0))
server.listen(5)
print(server.getsockname()[1], flush=True)
while True:
    client, address = server.accept()
    threading.Thread(target=handle, args=(client,), daemon=True).start()
