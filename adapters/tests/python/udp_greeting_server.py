"""The tutorial's UDP server that greets whatever comes: host. Prints its port."""
import socket, sys

server = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
server.bind((sys.argv[1], 0))
print(server.getsockname()[1], flush=True)
while True:
    data, address = server.recvfrom(1024)
    server.sendto("Hello UDP Client!".encode(), address)
