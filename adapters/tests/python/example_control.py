"""A plain client of a control socket: says each line, and prints each answer. `many PATH`: 30 at once."""
import socket, sys

def connect(path):
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(30)
    client.connect(path)
    return client, client.makefile("r", encoding="utf-8")

what, path, *lines = sys.argv[1:]
if what == "many":
    clients = [connect(path) for _ in range(30)]
    for number, (client, answers) in enumerate(clients):
        client.sendall(b"set level %d\n" % number)
        assert answers.readline() == "ok level=%d\n" % number
    for client, answers in clients:
        client.sendall(b"status\nstat")
        client.sendall(b"us\r\n")
        for _ in range(2):
            assert answers.readline() == "ok interval=1000 level=29\n"
    print("all right")
else:
    client, answers = connect(path)
    for line in lines:
        client.sendall(line.encode() + b"\n")
        answer = answers.readline()
        print(answer.rstrip("\n") or "closed")
