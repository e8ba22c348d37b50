//! The status and the headers of an answer.

use httparse::{EMPTY_HEADER, Error, ParserConfig, Response, Status};

/// The most headers that are taken.
const MAX_HEADERS: usize = 128;

/// Status and headers.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub(super) status: u16,
    reason: String,
    minor: u8,
    pub(super) headers: Vec<(String, Vec<u8>)>,
}

/// What the bytes so far are.
#[derive(Debug)]
pub(super) enum Parsed {
    Partial,
    Whole { head: Head, len: usize },
}

impl Head {
    pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, &'static str> {
        let mut headers = [EMPTY_HEADER; MAX_HEADERS];
        let mut response = Response::new(&mut headers);
        let mut config = ParserConfig::default();
        // As old devices have them.
        config
            .allow_spaces_after_header_name_in_responses(true)
            .allow_obsolete_multiline_headers_in_responses(true);
        let len = match config.parse_response(&mut response, bytes) {
            Ok(Status::Partial) => return Ok(Parsed::Partial),
            Ok(Status::Complete(len)) => len,
            Err(Error::TooManyHeaders) => return Err("sent more than 128 headers"),
            Err(_) => return Err("sent what is no HTTP"),
        };
        let headers = response.headers.iter();
        Ok(Parsed::Whole {
            head: Self {
                status: response.code.unwrap_or_default(),
                reason: response.reason.unwrap_or_default().into(),
                minor: response.version.unwrap_or_default(),
                headers: headers.map(|h| (h.name.into(), h.value.into())).collect(),
            },
            len,
        })
    }

    /// The first header of that name.
    pub(super) fn header(&self, name: &str) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// Every header of that name.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let found = self
            .headers
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| &**value)
    }

    /// `404 Not Found`.
    pub(super) fn title(&self) -> String {
        format!("{} {}", self.status, self.reason).trim_end().into()
    }

    pub(super) fn version_and_title(&self) -> String {
        format!("HTTP/1.{} {}", self.minor, self.title())
    }
}
