"""The tutorial's first echo server: one client at a time, host. Prints its port."""
import socket, sys

with socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET) as server:
    server.bind((sys.argv[1], 0))
    server.listen()
    print(server.getsockname()[1], flush=True)
    while True:
        client, address = server.accept()
        with client:
            while True:
                data = client.recv(1024)
                if not data:
                    break
                client.sendall(data)
