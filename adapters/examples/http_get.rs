//! An HTTP GET in a few lines: `cargo run -p halloo-std --example http_get -- 127.0.0.1:8080 /status`.
//!
//! It reads until the body is whole: by its length, in chunks, or with the end of the connection.
//! `halloo get` does the same without keeping all of it, and with exit codes.

use std::error::Error;
use std::time::{Duration, Instant};

use embedded_io::{Read, Write};
use halloo_std::socket::{Options, TcpStream};
use httparse::{EMPTY_HEADER, Response, Status, parse_chunk_size};

/// How long connecting may take, and how long the server may be silent.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long all of it may take.
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let host = args.next().unwrap_or_else(|| "127.0.0.1:8080".into());
    let path = args.next().unwrap_or_else(|| "/".into());
    let page = get(&host, &path)?;
    println!("status: {}", page.status);
    for (name, value) in &page.headers {
        println!("{name}: {}", value.escape_ascii());
    }
    println!();
    for line in page.body.split(|&byte| byte == b'\n') {
        println!("{}", line.escape_ascii());
    }
    Ok(())
}

pub(crate) fn get(host: &str, path: &str) -> Result<Page, Box<dyn Error>> {
    let options = Options {
        connect_timeout: Some(PATIENCE),
        read_timeout: Some(PATIENCE),
        ..Options::default()
    };
    let mut stream = TcpStream::connect(host, &options)?;
    stream.set_deadline(Instant::now().checked_add(LIMIT));
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    Write::write_all(&mut stream, request.as_bytes())?;

    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let len = Read::read(&mut stream, &mut piece)?;
        bytes.extend_from_slice(&piece[..len]);
        let has_ended = len == 0;
        match parse(&bytes, has_ended)? {
            Some(page) => return Ok(page),
            None if has_ended => return Err("the answer was cut off".into()),
            None => {}
        }
    }
}

/// The page, if these bytes are all of it.
fn parse(bytes: &[u8], has_ended: bool) -> Result<Option<Page>, Box<dyn Error>> {
    let mut headers = [EMPTY_HEADER; 64];
    let mut response = Response::new(&mut headers);
    let Status::Complete(head) = response.parse(bytes)? else {
        return Ok(None);
    };
    let headers = response.headers.iter();
    let headers: Vec<_> = headers
        .map(|h| (h.name.to_ascii_lowercase(), h.value))
        .collect();
    let header = |name: &str| {
        let found = headers.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| String::from_utf8_lossy(value).to_ascii_lowercase())
    };
    let rest = &bytes[head..];
    let body = if header("transfer-encoding").is_some_and(|coding| coding.ends_with("chunked")) {
        chunks(rest)?
    } else if let Some(length) = header("content-length") {
        rest.get(..length.parse()?).map(<[u8]>::to_vec)
    } else {
        has_ended.then(|| rest.to_vec())
    };
    Ok(body.map(|body| Page {
        status: response.code.unwrap_or_default(),
        headers: headers
            .iter()
            .map(|(name, value)| (name.clone(), value.to_vec()))
            .collect(),
        body,
    }))
}

/// What is in the chunks, if the last one is there.
fn chunks(mut bytes: &[u8]) -> Result<Option<Vec<u8>>, Box<dyn Error>> {
    let mut body = Vec::new();
    loop {
        let size = parse_chunk_size(bytes).map_err(|_| "a chunk has no size")?;
        let Status::Complete((start, size)) = size else {
            return Ok(None);
        };
        let size = usize::try_from(size)?;
        let chunk = bytes[start..].get(..size);
        let end = start.checked_add(size).and_then(|end| end.checked_add(2));
        let (Some(chunk), Some(rest)) = (chunk, end.and_then(|end| bytes.get(end..))) else {
            return Ok(None);
        };
        if size == 0 {
            return Ok(Some(body));
        }
        body.extend_from_slice(chunk);
        bytes = rest;
    }
}
