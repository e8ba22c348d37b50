//! Where the body of an answer ends (RFC 9112, section 6.3).

use httparse::{Status, parse_chunk_size};

use super::head::Head;

/// The most bytes of a chunk's first line, and of each line behind the last chunk.
const MAX_LINE: usize = 4096;

/// The most bytes of all lines behind the last chunk.
const MAX_TRAILERS: usize = 64 * 1024;

/// What is left of a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Body {
    Length(u64),
    ToTheEnd,
    Chunks(Chunk),
}

/// Where in the chunks the next byte is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    Size,
    Data(u64),
    /// The line end behind the data.
    DataEnd,
    /// The lines behind the last chunk, which had so many bytes until now.
    Trailers(usize),
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    More,
    Done,
}

impl Body {
    pub(super) fn of(head: &Head) -> Result<Self, &'static str> {
        if matches!(head.status, 204 | 304) {
            return Ok(Self::Length(0));
        }
        if let Some(codings) = head.all("transfer-encoding").last() {
            // A length beside it means nothing.
            let last = codings.rsplit(|&b| b == b',').next().unwrap_or_default();
            let is_chunked = last.trim_ascii().eq_ignore_ascii_case(b"chunked");
            return Ok(if is_chunked {
                Self::Chunks(Chunk::Size)
            } else {
                Self::ToTheEnd
            });
        }
        let mut length = None;
        for value in head
            .all("content-length")
            .flat_map(|v| v.split(|&b| b == b','))
        {
            let value = value.trim_ascii();
            let digits = str::from_utf8(value)
                .ok()
                .filter(|_| value.iter().all(u8::is_ascii_digit));
            let value: u64 = digits
                .and_then(|d| d.parse().ok())
                .ok_or("sent a wrong Content-Length")?;
            if length.is_some_and(|before| before != value) {
                return Err("sent two different lengths");
            }
            length = Some(value);
        }
        Ok(length.map_or(Self::ToTheEnd, Self::Length))
    }

    /// Moves what belongs to the body from the front of `bytes` to the end of `out`.
    pub(super) fn take(
        &mut self,
        bytes: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<Progress, &'static str> {
        let done = match self {
            Self::ToTheEnd => {
                out.append(bytes);
                false
            }
            Self::Length(left) => {
                move_up_to(left, bytes, out);
                *left == 0
            }
            Self::Chunks(chunk) => {
                while chunk.step(bytes, out)? {}
                *chunk == Chunk::Done
            }
        };
        Ok(if done { Progress::Done } else { Progress::More })
    }

    /// What is missing, if the connection ends here.
    pub(super) fn missing(&self) -> Option<String> {
        match self {
            Self::ToTheEnd | Self::Length(0) | Self::Chunks(Chunk::Done) => None,
            Self::Length(left) => Some(format!("{left} bytes are missing")),
            Self::Chunks(_) => Some("its last chunk did not come".into()),
        }
    }
}

impl Chunk {
    /// Whether it came further.
    fn step(&mut self, bytes: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<bool, &'static str> {
        match self {
            Self::Size => {
                let seen = &bytes[..bytes.len().min(MAX_LINE)];
                match parse_chunk_size(seen).map_err(|_| "sent a chunk without a size")? {
                    Status::Complete((len, size)) => {
                        bytes.drain(..len);
                        *self = if size == 0 {
                            Self::Trailers(0)
                        } else {
                            Self::Data(size)
                        };
                        Ok(true)
                    }
                    Status::Partial if bytes.len() >= MAX_LINE => {
                        Err("sent a chunk without a size")
                    }
                    Status::Partial => Ok(false),
                }
            }
            Self::Data(left) => {
                move_up_to(left, bytes, out);
                let is_whole = *left == 0;
                if is_whole {
                    *self = Self::DataEnd;
                }
                Ok(is_whole)
            }
            Self::DataEnd => match &bytes[..] {
                [b'\r', b'\n', ..] => {
                    bytes.drain(..2);
                    *self = Self::Size;
                    Ok(true)
                }
                [] | [b'\r'] => Ok(false),
                _ => Err("sent a chunk that is longer than its size"),
            },
            Self::Trailers(seen) => match bytes.iter().take(MAX_LINE).position(|&b| b == b'\n') {
                Some(end) => {
                    let line = bytes.drain(..=end).collect::<Vec<_>>();
                    *seen += line.len();
                    if *seen > MAX_TRAILERS {
                        return Err("sent too many lines after its last chunk");
                    }
                    if line.trim_ascii().is_empty() {
                        *self = Self::Done;
                    }
                    Ok(true)
                }
                None if bytes.len() >= MAX_LINE => {
                    Err("sent a line without an end after its last chunk")
                }
                None => Ok(false),
            },
            Self::Done => Ok(false),
        }
    }
}

fn move_up_to(left: &mut u64, bytes: &mut Vec<u8>, out: &mut Vec<u8>) {
    let n = usize::try_from(*left)
        .unwrap_or(usize::MAX)
        .min(bytes.len());
    out.extend(bytes.drain(..n));
    *left -= n as u64;
}

#[cfg(test)]
mod tests {
    use super::super::head::Parsed;
    use super::*;

    fn body_of(headers: &str) -> Result<Body, &'static str> {
        let text = format!("HTTP/1.1 200 OK\r\n{headers}\r\n");
        match Head::parse(text.as_bytes()) {
            Ok(Parsed::Whole { head, .. }) => Body::of(&head),
            other => panic!("{other:?}"),
        }
    }

    /// The body, and what was left over, of `input` in pieces of `size`.
    fn read(
        mut body: Body,
        input: &[u8],
        size: usize,
    ) -> Result<(Vec<u8>, Progress), &'static str> {
        let (mut bytes, mut out) = (Vec::new(), Vec::new());
        let mut progress = Progress::More;
        for piece in input.chunks(size) {
            bytes.extend_from_slice(piece);
            progress = body.take(&mut bytes, &mut out)?;
            if progress == Progress::Done {
                break;
            }
        }
        Ok((out, progress))
    }

    #[test]
    fn the_headers_say_where_the_body_ends() {
        assert_eq!(body_of(""), Ok(Body::ToTheEnd));
        assert_eq!(body_of("Content-Length: 7\r\n"), Ok(Body::Length(7)));
        assert_eq!(body_of("content-length: 7, 7\r\n"), Ok(Body::Length(7)));
        let chunked = "Content-Length: 7\r\nTransfer-Encoding: gzip, Chunked\r\n";
        assert_eq!(body_of(chunked), Ok(Body::Chunks(Chunk::Size)));
        assert_eq!(body_of("Transfer-Encoding: gzip\r\n"), Ok(Body::ToTheEnd));
        for bad in ["+7", "-1", "x", "", "7, 8", "99999999999999999999"] {
            assert!(
                body_of(&format!("Content-Length: {bad}\r\n")).is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn chunks_are_the_same_however_they_are_cut() {
        let input =
            b"5\r\nhello\r\n6;name=\"x\"\r\n world\r\nA\r\n0123456789\r\n0\r\nX: y\r\n\r\nmore";
        for size in 1..=input.len() {
            let body = Body::Chunks(Chunk::Size);
            let expected = (b"hello world0123456789".to_vec(), Progress::Done);
            assert_eq!(read(body, input, size), Ok(expected), "pieces of {size}");
        }
        let whole = input.len() - b"more".len();
        for cut in 0..whole {
            let read = read(Body::Chunks(Chunk::Size), &input[..cut], 3).unwrap();
            assert_eq!(read.1, Progress::More, "cut at {cut}");
        }
    }

    #[test]
    fn wrong_chunks_are_refused() {
        for bad in [
            &b"x\r\n"[..],
            b"5\r\nhello!\r\n",
            b"11111111111111111\r\n",
            &[b'1'; 5000],
        ] {
            let read = read(Body::Chunks(Chunk::Size), bad, 1000);
            assert!(read.is_err(), "{read:?}");
        }
    }

    #[test]
    fn the_lines_behind_the_last_chunk_are_bounded() {
        let line = b"A: b\r\n";
        for (count, is_good) in [(1000, true), (MAX_TRAILERS / line.len() + 1, false)] {
            let input = [b"0\r\n", &line.repeat(count)[..], b"\r\n"].concat();
            let read = read(Body::Chunks(Chunk::Size), &input, 1000);
            assert_eq!(read.is_ok(), is_good, "{count} lines: {read:?}");
        }
    }

    #[test]
    fn no_more_than_the_length_is_taken() {
        for size in 1..5 {
            let expected = (b"123".to_vec(), Progress::Done);
            assert_eq!(read(Body::Length(3), b"12345", size), Ok(expected));
        }
        assert_eq!(
            Body::Length(3).missing(),
            Some("3 bytes are missing".into())
        );
    }
}
