//! `http://host:port/path?query`, and the request for it.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// What cannot stand in a request's line as it is; a percent sign begins an escape of the user's.
const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'`');

/// What to fetch, and from where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Url {
    /// Without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// With its query; begins with a slash.
    path: String,
}

impl Url {
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = text
            .split_once("://")
            .ok_or("does not start with http://")?;
        if scheme.eq_ignore_ascii_case("https") {
            return Err("wants encryption, which halloo does not do");
        }
        if !scheme.eq_ignore_ascii_case("http") {
            return Err("does not start with http://");
        }
        // What follows a hash mark is for the reader of the page.
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (place, path) = rest.split_at(end);
        if place.contains('@') {
            return Err("has a user before its host, which is not supported");
        }
        let (host, port) = match place.strip_prefix('[') {
            Some(inner) => inner
                .split_once(']')
                .ok_or("has a bracket that does not close")?,
            None => place.split_at(place.find(':').unwrap_or(place.len())),
        };
        let is_name = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
        if host.is_empty() || !host.chars().all(is_name) {
            return Err("has no host, or one that is none");
        }
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => 80,
            // `parse` alone takes a sign too.
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().map_err(|_| "has a port that is none")?
            }
            _ => return Err("has a port that is none"),
        };
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Self {
            host: host.replace("%25", "%"),
            port,
            path: format!("{slash}{}", utf8_percent_encode(path, ESCAPED)),
        })
    }

    pub(super) fn request(&self) -> Vec<u8> {
        // A zone means something on this machine alone.
        let host = self.host.split('%').next().unwrap_or_default();
        let host = if host.contains(':') {
            format!("[{host}]")
        } else {
            host.to_owned()
        };
        let port = if self.port == 80 {
            String::new()
        } else {
            format!(":{}", self.port)
        };
        format!(
            "GET {} HTTP/1.1\r\nHost: {host}{port}\r\nUser-Agent: halloo/{}\r\nAccept: */*\r\n\
             Connection: close\r\n\r\n",
            self.path,
            env!("CARGO_PKG_VERSION"),
        )
        .into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_with_their_defaults() {
        for (text, host, port, path) in [
            ("http://a", "a", 80, "/"),
            ("HTTP://a:81", "a", 81, "/"),
            ("http://a/b/c?d=1&e=%20#f", "a", 80, "/b/c?d=1&e=%20"),
            ("http://a?q", "a", 80, "/?q"),
            ("http://[::1]:8080/x", "::1", 8080, "/x"),
            ("http://[fe80::1%25eth0]/", "fe80::1%eth0", 80, "/"),
            ("http://a/ü b\r\nX: y", "a", 80, "/%C3%BC%20b%0D%0AX:%20y"),
        ] {
            let expected = Url {
                host: host.into(),
                port,
                path: path.into(),
            };
            assert_eq!(Url::parse(text), Ok(expected), "{text}");
        }
        for bad in [
            "",
            "a",
            "ftp://a",
            "https://a",
            "http://",
            "http:///x",
            "http://a:",
            "http://a:x",
            "http://a:+1",
            "http://a:65536",
            "http://[::1",
            "http://[::1]80",
            "http://u@a",
            "http://a b",
            "http://a\r\nX",
        ] {
            assert!(Url::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_request_names_its_host_as_the_url_does() {
        let host = |url: &str| {
            let request = String::from_utf8(Url::parse(url).unwrap().request()).unwrap();
            request.lines().nth(1).unwrap().to_owned()
        };
        assert_eq!(host("http://a/"), "Host: a");
        assert_eq!(host("http://[::1]:81/"), "Host: [::1]:81");
        assert_eq!(host("http://[fe80::1%25eth0]/"), "Host: [fe80::1]");
    }
}
