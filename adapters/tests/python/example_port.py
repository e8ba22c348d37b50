"""A server that takes connections and closes them: host, port."""
import socket, sys

family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
with socket.create_server((sys.argv[1], int(sys.argv[2])), family=family) as server:
    print("listens")
    while True:
        server.accept()[0].close()
