//! The grammar, both ways.
//!
//! ```text
//! url     = [protocol "+"] ( ("tcp" | "udp" | "cobs+tcp") "://" host [":" port] ["/"]
//!                          | ("unix:" | "serial:") path ) ["?" options]
//! options = key ["=" value] *( "&" key ["=" value] )
//! ```
//!
//! In paths and values `%` begins an escape and every other character stands for itself, except
//! `?` in a path and `&` in a value, which end them.

use std::ffi::OsString;
use std::fmt;
use std::net::Ipv6Addr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};

use super::{Endpoint, Protocol, Transport, UnixKind, UrlError, UrlOptions, UrlProblem};

/// What is escaped when a URL is shown. More than the parser needs, so that a shown URL stands
/// unhurt in quotes, in a list and in other people's parsers.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'&')
    .add(b'\'')
    .add(b'+')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'`');

pub(super) fn endpoint(url: &str, default: Protocol) -> Result<Endpoint, UrlError> {
    let (scheme, rest) = url.split_once(':').unwrap_or((url, ""));
    let scheme = scheme.to_ascii_lowercase();
    let (protocol, carrier) = match scheme.split_once('+') {
        Some((name, carrier)) if name != "cobs" => (protocol(name), carrier),
        _ => (Some(default), scheme.as_str()),
    };
    let fail = |problem| UrlError {
        url: url.into(),
        problem,
        example: example(protocol.unwrap_or(default), carrier),
    };
    let (Some(protocol), true) = (protocol, url.contains(':')) else {
        return Err(fail(UrlProblem::Scheme));
    };
    let (place, query) = match rest.split_once('?') {
        Some((place, query)) => (place, Some(query)),
        None => (rest, None),
    };
    let transport = match carrier {
        "tcp" => host_port(place, protocol).map(|(host, port)| Transport::Tcp { host, port }),
        "udp" => host_port(place, protocol).map(|(host, port)| Transport::Udp { host, port }),
        "unix" => path(place).map(Transport::Unix),
        "cobs+tcp" => {
            host_port(place, protocol).map(|(host, port)| Transport::CobsTcp { host, port })
        }
        "serial" => path(place).map(Transport::Serial),
        _ => Err(UrlProblem::Scheme),
    }
    .map_err(fail)?;
    let options = options(query.unwrap_or(""), protocol, &transport).map_err(fail)?;
    Ok(Endpoint {
        protocol,
        transport,
        options,
    })
}

pub(super) fn write_host_port(
    f: &mut fmt::Formatter<'_>,
    carrier: &str,
    host: &str,
    port: u16,
) -> fmt::Result {
    if host.contains(':') {
        // The zone of a link-local address follows a percent sign (RFC 6874).
        write!(f, "{carrier}://[{}]:{port}", host.replace('%', "%25"))
    } else {
        write!(f, "{carrier}://{host}:{port}")
    }
}

pub(super) fn write_path(f: &mut fmt::Formatter<'_>, carrier: &str, path: &Path) -> fmt::Result {
    let bytes = path.as_os_str().as_bytes();
    // Two slashes in front would read as the beginning of a host.
    let slashes = if bytes.starts_with(b"//") { "//" } else { "" };
    let path = percent_encode(bytes, ESCAPED);
    write!(f, "{carrier}:{slashes}{path}")
}

pub(super) fn write_options(options: &UrlOptions, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let on_off = |on: bool| String::from(if on { "on" } else { "off" });
    let pairs = [
        ("prefix", options.prefix.clone()),
        ("text", options.text.clone()),
        ("guard", options.guard.map(on_off)),
        ("type", options.kind.map(|kind| kind.name().into())),
        ("mode", options.mode.map(|mode| format!("{mode:o}"))),
        ("nodelay", options.nodelay.map(on_off)),
        ("keepalive", options.keepalive.map(|n| n.to_string())),
        ("v6only", options.v6only.map(on_off)),
        ("baud", options.baud.map(|n| n.to_string())),
        ("connect", options.connect.map(on_off)),
        ("backlog", options.backlog.map(|n| n.to_string())),
    ];
    let said = pairs.iter().filter_map(|(k, v)| Some((k, v.as_ref()?)));
    for (index, (key, value)) in said.enumerate() {
        let mark = if index == 0 { '?' } else { '&' };
        let value = percent_encode(value.as_bytes(), ESCAPED);
        write!(f, "{mark}{key}={value}")?;
    }
    Ok(())
}

fn protocol(name: &str) -> Option<Protocol> {
    use Protocol::{Chat, Echo, Greet, Json};
    [Chat, Json, Echo, Greet]
        .into_iter()
        .find(|protocol| protocol.name() == name)
}

fn example(protocol: Protocol, carrier: &str) -> &'static str {
    match (protocol, carrier) {
        (Protocol::Chat, "unix") => "chat+unix:/run/halloo.sock",
        (Protocol::Chat, "udp") => "chat+udp://127.0.0.1:7007",
        (Protocol::Chat, "cobs+tcp") => "chat+cobs+tcp://127.0.0.1:7070",
        (Protocol::Chat, "serial") => "chat+serial:/dev/ttyUSB0?baud=115200",
        (Protocol::Chat, _) => "chat+tcp://127.0.0.1:7007",
        (Protocol::Json, "unix") => "json+unix:/run/halloo.sock",
        (Protocol::Json, _) => "json+tcp://[::1]:8083",
        (Protocol::Echo, "unix") => "echo+unix:/run/echo.sock",
        (Protocol::Echo, "udp") => "echo+udp://127.0.0.1:65433",
        (Protocol::Echo, _) => "echo+tcp://127.0.0.1:8080?prefix=Echo: ",
        (Protocol::Greet, "unix") => "greet+unix:/run/greet.sock?text=Hello",
        (Protocol::Greet, _) => "greet+tcp://127.0.0.1:12345?text=Hello",
    }
}

fn host_port(place: &str, protocol: Protocol) -> Result<(String, u16), UrlProblem> {
    let place = place.strip_prefix("//").ok_or(UrlProblem::Slashes)?;
    let (authority, path) = place.split_at(place.find('/').unwrap_or(place.len()));
    if authority.is_empty() && !path.is_empty() {
        return Err(UrlProblem::Slashes);
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(inner) => {
            let bad = || UrlProblem::Host(authority.into());
            let (address, port) = inner.split_once(']').ok_or_else(bad)?;
            if !port.is_empty() && !port.starts_with(':') {
                return Err(bad());
            }
            (ipv6(address).ok_or_else(bad)?, port.strip_prefix(':'))
        }
        None => {
            let (host, port) = match authority.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            };
            if host.is_empty() {
                return Err(UrlProblem::NoHost);
            }
            let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
            if !host.bytes().all(fits) {
                return Err(UrlProblem::Host(host.into()));
            }
            (host.into(), port)
        }
    };
    let port = match port {
        Some(digits) => number(digits).ok_or_else(|| UrlProblem::Port(digits.into()))?,
        None => protocol.default_port().ok_or(UrlProblem::NoPort)?,
    };
    if !matches!(path, "" | "/") {
        return Err(UrlProblem::PathAfterPort(path.into()));
    }
    Ok((host, port))
}

/// An IPv6 address, with the zone that a link-local one needs.
fn ipv6(text: &str) -> Option<String> {
    let (address, zone) = match text.split_once('%') {
        Some((address, zone)) => (address, Some(zone.strip_prefix("25").unwrap_or(zone))),
        None => (text, None),
    };
    address.parse::<Ipv6Addr>().ok()?;
    match zone {
        None => Some(address.into()),
        Some(zone) => {
            let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
            let good = !zone.is_empty() && zone.bytes().all(fits);
            good.then(|| format!("{address}%{zone}"))
        }
    }
}

fn path(place: &str) -> Result<PathBuf, UrlProblem> {
    // `unix:///run/x` has an empty host in front of its path.
    let text = match place.strip_prefix("//") {
        Some(path) if path.starts_with('/') => path,
        Some(_) => return Err(UrlProblem::Slashes),
        None => place,
    };
    let bytes = unescape(text)?;
    if bytes.is_empty() || bytes.contains(&0) {
        return Err(UrlProblem::Path);
    }
    Ok(OsString::from_vec(bytes).into())
}

fn options(
    query: &str,
    protocol: Protocol,
    transport: &Transport,
) -> Result<UrlOptions, UrlProblem> {
    let known = known_options(protocol, transport);
    let mut seen = Vec::new();
    let mut options = UrlOptions::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let Some(&key) = known.iter().find(|&&name| name == key) else {
            return Err(UrlProblem::UnknownOption {
                key: key.into(),
                known: known.join(", "),
                follows: !seen.is_empty(),
            });
        };
        if seen.contains(&key) {
            return Err(UrlProblem::OptionTwice(key.into()));
        }
        seen.push(key);
        let value =
            String::from_utf8(unescape(value)?).map_err(|_| UrlProblem::Escape(value.into()))?;
        set(&mut options, key, value)?;
    }
    Ok(options)
}

fn known_options(protocol: Protocol, transport: &Transport) -> Vec<&'static str> {
    let mut known = Vec::new();
    match protocol {
        Protocol::Echo => known.push("prefix"),
        Protocol::Greet => known.push("text"),
        Protocol::Chat | Protocol::Json => {}
    }
    let answers = matches!(protocol, Protocol::Echo | Protocol::Greet);
    known.extend_from_slice(match transport {
        Transport::Tcp { .. } => &["nodelay", "keepalive", "v6only", "backlog"],
        Transport::Udp { .. } if answers => &["guard", "v6only"],
        Transport::Udp { .. } => &["v6only"],
        Transport::Unix(_) if answers => &["type", "mode", "backlog"],
        Transport::Unix(_) => &["mode", "backlog"],
        Transport::CobsTcp { .. } => &[
            "baud",
            "connect",
            "nodelay",
            "keepalive",
            "v6only",
            "backlog",
        ],
        Transport::Serial(_) => &["baud"],
    });
    known
}

fn set(options: &mut UrlOptions, key: &'static str, value: String) -> Result<(), UrlProblem> {
    let wrong = |takes| UrlProblem::OptionValue {
        key,
        value: value.clone(),
        takes,
    };
    let on_off = || match value.as_str() {
        "on" | "true" | "yes" | "1" => Ok(true),
        "off" | "false" | "no" | "0" => Ok(false),
        _ => Err(wrong("on or off")),
    };
    match key {
        "prefix" => options.prefix = Some(value),
        "text" => options.text = Some(value),
        "nodelay" => options.nodelay = Some(on_off()?),
        "type" => {
            let kinds = [UnixKind::Stream, UnixKind::Datagram, UnixKind::Seqpacket];
            let kind = kinds.into_iter().find(|kind| kind.name() == value);
            let takes = "stream, datagram or seqpacket";
            options.kind = Some(kind.ok_or_else(|| wrong(takes))?);
        }
        "guard" => options.guard = Some(on_off()?),
        "v6only" => options.v6only = Some(on_off()?),
        // Alone it says enough.
        "connect" if value.is_empty() => options.connect = Some(true),
        "connect" => options.connect = Some(on_off()?),
        "baud" => {
            let baud = number(&value).filter(|&baud: &u32| baud > 0);
            let takes = "a number of bits a second such as 115200";
            options.baud = Some(baud.ok_or_else(|| wrong(takes))?);
        }
        "keepalive" => {
            let secs = number(&value).filter(|&secs: &u32| secs > 0);
            options.keepalive = Some(secs.ok_or_else(|| wrong("a number of seconds from 1 up"))?);
        }
        "backlog" => {
            options.backlog = Some(number(&value).ok_or_else(|| wrong("a number"))?);
        }
        // `mode`, the last of the known ones.
        _ => {
            let octal = !value.is_empty() && value.bytes().all(|b| matches!(b, b'0'..=b'7'));
            let mode = octal.then(|| u32::from_str_radix(&value, 8).ok()).flatten();
            let mode = mode.filter(|&mode| mode <= 0o777);
            options.mode = Some(mode.ok_or_else(|| wrong("octal permissions such as 660"))?);
        }
    }
    Ok(())
}

/// Digits only: `parse` alone takes a sign too.
fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

fn unescape(text: &str) -> Result<Vec<u8>, UrlProblem> {
    let mut pieces = text.split('%');
    // The crate leaves a wrong escape as it stands; here it is an error.
    let whole = |piece: &str| {
        let digits = piece.as_bytes().get(..2);
        digits.is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit))
    };
    if !pieces.by_ref().skip(1).all(whole) {
        return Err(UrlProblem::Escape(text.into()));
    }
    Ok(percent_decode_str(text).collect())
}
