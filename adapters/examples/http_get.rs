//! An HTTP GET in a few lines: `cargo run -p halloo-std --example http_get -- 127.0.0.1:8080 /status`.
//!
//! The server closes when it has said all (`Connection: close`), so the end of the stream is the end of
//! the body. `halloo get` knows lengths and chunks, too.

use std::error::Error;
use std::time::Duration;

use embedded_io::{Read, Write};
use halloo_std::socket::{Options, TcpStream};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let host = args.next().unwrap_or_else(|| "127.0.0.1:8080".into());
    let path = args.next().unwrap_or_else(|| "/".into());

    let options = Options {
        connect_timeout: Some(Duration::from_secs(5)),
        read_timeout: Some(Duration::from_secs(5)),
        ..Options::default()
    };
    let mut stream = TcpStream::connect(host.as_str(), &options)?;
    // HTTP/1.0: the body comes in one piece, never in chunks.
    let request = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    Write::write_all(&mut stream, request.as_bytes())?;

    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match Read::read(&mut stream, &mut piece)? {
            0 => break,
            n => answer.extend_from_slice(&piece[..n]),
        }
    }

    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = response.parse(&answer)? else {
        return Err("the headers did not end".into());
    };
    println!("status: {}", response.code.unwrap_or_default());
    for header in response.headers.iter() {
        println!("{}: {}", header.name, header.value.escape_ascii());
    }
    println!();
    for line in answer[head..].split(|&byte| byte == b'\n') {
        println!("{}", line.escape_ascii());
    }
    Ok(())
}
