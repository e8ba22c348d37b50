"""A client for a chat server with rooms, as tutorials of Python's sockets have it: JSON over TCP.

    python3 room_chat.py HOST PORT

Type `/join ROOM NAME`, `/leave`, `/raw TEXT` for bytes as they are, `quit`, or a message.
"""

import json
import socket
import sys
import threading


class ChatClient:
    def __init__(self, host, port):
        self.sock = socket.create_connection((host, port))

    def send(self, message):
        self.sock.send(json.dumps(message).encode("utf-8"))

    def receive(self):
        decoder, text = json.JSONDecoder(), ""
        while True:
            data = self.sock.recv(1024)
            if not data:
                print("the server is gone")
                return
            text += data.decode("utf-8")
            while True:
                text = text.lstrip()
                try:
                    message, end = decoder.raw_decode(text)
                except json.JSONDecodeError:
                    break
                text = text[end:]
                self.show(message)

    def show(self, message):
        if message["type"] == "chat":
            print(f"[{message['room']}] {message['username']}: {message['message']}")
        else:
            print(f"{message['type']}: {message['message']}")

    def run(self):
        threading.Thread(target=self.receive, daemon=True).start()
        for line in sys.stdin:
            line = line.rstrip("\n")
            if line == "quit":
                break
            if line.startswith("/join "):
                _, room, username = line.split(" ")
                self.send({"type": "join", "room": room, "username": username})
            elif line == "/leave":
                self.send({"type": "leave"})
            elif line.startswith("/raw "):
                self.sock.send(line[5:].encode("utf-8"))
            else:
                self.send({"type": "chat", "message": line})


sys.stdin.reconfigure(encoding="utf-8")
sys.stdout.reconfigure(encoding="utf-8", line_buffering=True)
ChatClient(sys.argv[1], int(sys.argv[2])).run()
