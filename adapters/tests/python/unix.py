"""The tutorial's client of a Unix socket: stream, datagram or seqpacket, path, messages."""
import os, socket, sys, tempfile

kinds = {"stream": socket.SOCK_STREAM, "datagram": socket.SOCK_DGRAM, "seqpacket": socket.SOCK_SEQPACKET}
kind, path, messages = sys.argv[1], sys.argv[2], sys.argv[3:]
with socket.socket(socket.AF_UNIX, kinds[kind]) as client, tempfile.TemporaryDirectory() as folder:
    client.settimeout(30)
    if kind == "datagram":  # else there is no address to answer
        client.bind(os.path.join(folder, "client.sock"))
    client.connect(path)
    if kind != "stream":  # all at once: each message comes back as one
        for message in messages:
            client.send(message.encode())
    for message in messages:
        if kind == "stream":
            client.sendall(message.encode())
        print(client.recv(65536).decode())
    if kind == "seqpacket":
        client.shutdown(socket.SHUT_WR)
        assert client.recv(65536) == b""
