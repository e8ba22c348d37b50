//! Servers in plain Python as tutorials show them, and one connection that a test speaks for.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread::{self, JoinHandle};

use crate::process::Running;

/// Both loopback addresses.
pub(crate) const HOSTS: [&str; 2] = ["127.0.0.1", "::1"];

const OPEN: &str = "\
import select, socket, sys, threading
family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET
kind = socket.SOCK_DGRAM if sys.argv[2] == 'udp' else socket.SOCK_STREAM
server = socket.socket(family, kind)
server.bind((sys.argv[1], 0))
if kind == socket.SOCK_STREAM:
    server.listen(5)
print(server.getsockname()[1], flush=True)
";

/// Reads once, greets, closes.
pub(crate) const GREETING: &str = "\
while True:
    client, address = server.accept()
    data = client.recv(1024)
    client.send('Hello from server!'.encode())
    client.close()
";

/// A thread for each client.
pub(crate) const THREADED: &str = "\
def handle(client):
    while True:
        data = client.recv(1024)
        if not data:
            break
        client.send(b'Echo: ' + data)
    client.close()
while True:
    client, address = server.accept()
    threading.Thread(target=handle, args=(client,), daemon=True).start()
";

/// One thread and select().
pub(crate) const SELECT: &str = "\
server.setblocking(False)
sockets = [server]
while True:
    readable, _, _ = select.select(sockets, [], [])
    for s in readable:
        if s is server:
            client, address = s.accept()
            client.setblocking(False)
            sockets.append(client)
        else:
            data = s.recv(1024)
            if data:
                s.send(b'Non-blocking echo: ' + data)
            else:
                sockets.remove(s)
                s.close()
";

/// An answer for each datagram.
pub(crate) const DATAGRAMS: &str = "\
while True:
    data, address = server.recvfrom(1024)
    server.sendto(b'UDP Echo: ' + data, address)
";

/// Starts a server; its URL.
pub(crate) fn python(code: &str, carrier: &str, host: &str) -> (Running, String) {
    let mut command = Command::new("python3");
    let code = format!("{OPEN}{code}");
    let server = Running::spawn(command.args(["-c", &code, host, carrier]));
    let port = server.out("");
    (server, url(carrier, host, &port))
}

pub(crate) fn url(carrier: &str, host: &str, port: impl std::fmt::Display) -> String {
    if host.contains(':') {
        format!("{carrier}://[{host}]:{port}")
    } else {
        format!("{carrier}://{host}:{port}")
    }
}

/// Accepts one connection and does with it as told; where, and what that gave.
pub(crate) fn one<T: Send + 'static>(
    host: &str,
    serve: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (u16, JoinHandle<T>) {
    let listener = TcpListener::bind((host, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (
        port,
        thread::spawn(move || serve(listener.accept().unwrap().0)),
    )
}

/// All that comes until the end, answered with `answer` then.
pub(crate) fn answers_the_end(answer: &'static [u8]) -> impl FnOnce(TcpStream) -> Vec<u8> + Send {
    move |mut stream| {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        stream.write_all(answer).unwrap();
        all
    }
}
