"""Plain clients that do not block, all connected at once: host, port, prefix, how many."""
import errno, resource, selectors, socket, sys

host, port, prefix, count = sys.argv[1], int(sys.argv[2]), sys.argv[3].encode(), int(sys.argv[4])
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
if soft != resource.RLIM_INFINITY and soft < count + 64:
    if hard != resource.RLIM_INFINITY and hard < count + 64:
        sys.exit("skipped: this user may open %d files" % hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 64, hard))
select, clients, answered = selectors.DefaultSelector(), [], 0
for number in range(count):
    client = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    client.setblocking(False)
    if host == "127.0.0.1" and sys.platform == "linux":
        client.bind(("127.0.0.2", 0))  # takes no port that a hub beside this wants to have again
    assert client.connect_ex((host, port)) in (0, errno.EINPROGRESS)
    clients.append(client)
    select.register(client, selectors.EVENT_WRITE, number)
connected = 0
while connected < count:
    ready = select.select(30) or sys.exit("%d connected" % connected)
    for key, _ in ready:
        assert key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        select.modify(key.fileobj, selectors.EVENT_READ, key.data)
        connected += 1
for number, client in enumerate(clients):
    client.sendall(b"client %d" % number)
while answered < count:
    ready = select.select(30) or sys.exit("%d answered" % answered)
    for key, _ in ready:
        data, expected = key.fileobj.recv(1024), prefix + b"client %d" % key.data
        assert data == expected, (data, expected)
        answered += 1
for client in clients:
    client.close()
print("%d answered" % answered)
