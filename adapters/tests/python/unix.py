"""The tutorial's client of a Unix stream socket: path, message."""
import socket, sys

with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
    client.settimeout(30)
    client.connect(sys.argv[1])
    client.sendall(sys.argv[2].encode())
    print(client.recv(1024).decode())
