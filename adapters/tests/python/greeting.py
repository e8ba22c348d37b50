"""The tutorial's first client: connects, says hello, prints what comes, until the server closes."""
import socket, sys

for family, kind, proto, _, address in socket.getaddrinfo(sys.argv[1], sys.argv[2], type=socket.SOCK_STREAM):
    with socket.socket(family, kind, proto) as client:
        client.settimeout(30)
        client.connect(address)
        client.sendall(b"Hello from client!")
        data = client.recv(1024)
        while data:
            print(data.decode())
            data = client.recv(1024)
        print("closed")
    break
