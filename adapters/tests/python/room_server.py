"""A chat server with rooms, as tutorials have it: a thread for each client, one object in one recv,
bare JSON without delimiters, and no `leave`: host, and `all` to send a line to who said it, too.
Prints its port."""
import json, socket, sys, threading

clients, lock = {}, threading.Lock()

def send(client, **message):
    client.send(json.dumps(message).encode("utf-8"))

def broadcast(to, but=None, **message):
    with lock:
        members = [client for client, (room, _) in clients.items() if room == to and client is not but]
    for client in members:
        try:
            send(client, **message)
        except OSError:
            pass  # its own thread takes it out

def handle(client):
    send(client, type="welcome", message="Welcome to the chat server! Join a room to start.")
    while True:
        try:
            data = client.recv(1024)
        except OSError:
            break
        if not data:
            break
        try:
            message = json.loads(data.decode("utf-8"))
        except ValueError:
            send(client, type="error", message="Invalid JSON")
            continue
        if message["type"] == "join":
            room, username = message.get("room"), message.get("username")
            if not room or not username:
                send(client, type="error", message="Room and username required")
                continue
            with lock:
                clients[client] = room, username
            broadcast(room, type="notification", message=f"{username} joined {room}")
        elif message["type"] == "chat" and client in clients:
            room, username = clients[client]
            but = None if "all" in sys.argv[2:] else client
            broadcast(room, but, type="chat", username=username, room=room, message=message["message"])
        else:
            send(client, type="error", message="Unknown message type")
    with lock:
        room, username = clients.pop(client, (None, None))
    client.close()
    if room:
        broadcast(room, type="notification", message=f"{username} left {room}")

server = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
server.bind((sys.argv[1], 0))
server.listen(5)
print(server.getsockname()[1], flush=True)
while True:
    threading.Thread(target=handle, args=(server.accept()[0],), daemon=True).start()
