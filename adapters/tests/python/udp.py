"""The tutorial's UDP client: sends each argument as a datagram and prints what comes back."""
import socket, sys

address = socket.getaddrinfo(sys.argv[1], sys.argv[2], type=socket.SOCK_DGRAM)[0]
with socket.socket(address[0], socket.SOCK_DGRAM) as client:
    client.settimeout(30)
    for message in sys.argv[3:]:
        client.sendto(message.encode(), address[4])
        data, server = client.recvfrom(65535)
        print(data.decode() if server[:2] == address[4][:2] else server)
