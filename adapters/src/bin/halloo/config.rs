//! `halloo serve --config FILE`: the options of `serve` as TOML, each under the name of its flag.
//!
//! Knows the keys and where each stands, so that a wrong one is told with file, line and key.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use halloo_std::url::{Endpoint, UrlError};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use toml::Spanned;
use toml::de::DeTable;

use super::data::{self, Durability};
use super::failure::Failure;
use super::serve::{pattern, same_place};

/// What a file says; what it leaves out is `None`.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct File {
    listen: Option<Vec<Spanned<String>>>,
    pub(crate) max_connections: Option<usize>,
    pub(crate) max_rooms: Option<usize>,
    pub(crate) max_members: Option<usize>,
    pub(crate) max_body: Option<u16>,
    #[serde(deserialize_with = "size")]
    pub(crate) room_bytes: Option<usize>,
    pub(crate) room_posts: Option<usize>,
    pub(crate) latest: Option<Vec<Pattern>>,
    pub(crate) shards: Option<usize>,
    pub(crate) data: Option<PathBuf>,
    pub(crate) durability: Option<Durability>,
    pub(crate) keep_posts: Option<u64>,
    #[serde(deserialize_with = "bytes")]
    pub(crate) keep_bytes: Option<u64>,
    #[serde(deserialize_with = "time")]
    pub(crate) keep_for: Option<Duration>,
    #[serde(deserialize_with = "segment_bytes")]
    pub(crate) segment_bytes: Option<u64>,
}

/// A name of rooms, or the beginning of names and `*`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Pattern(pub(crate) String);

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let checked = pattern(&text).map_err(|e| format!("{text:?} names no rooms: {e}"));
        checked.map(Self)
    }
}

/// A file that was read, and where its keys stand.
#[derive(Debug, Default)]
pub(crate) struct Config {
    pub(crate) file: File,
    pub(crate) listen: Option<Vec<Endpoint>>,
    path: PathBuf,
    keys: Vec<(String, usize)>,
}

impl Config {
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let bytes = fs::read(path)
            .map_err(|e| Failure::Start(format!("the config file {shown} cannot be read: {e}")))?;
        let text = str::from_utf8(&bytes).map_err(|e| {
            let line = line_of(&bytes, e.valid_up_to());
            Failure::Start(format!("{shown}:{line}: it is not UTF-8: save it as UTF-8"))
        })?;
        Self::parse(path, text).map_err(Failure::Start)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, String> {
        let line_of = |at: usize| line_of(text.as_bytes(), at);
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut keys: Vec<(usize, &str)> = table
            .get_ref()
            .keys()
            .map(|key| (key.span().start, key.get_ref().as_ref()))
            .collect();
        keys.sort_unstable();
        // What a quote leads to that is missing is told before the quote.
        let start = |e: &toml::de::Error| e.span().map_or(0, |span| span.start);
        if let Some(e) = errors.into_iter().min_by_key(start) {
            let span = e.span().unwrap_or_default();
            // What these are about is no key to the parser.
            let itself = if e.message().starts_with("duplicate key") {
                text.get(span.clone())
            } else if e.message().starts_with("key with no value") {
                text.get(..span.start).and_then(|text| text.lines().last())
            } else {
                None
            };
            let key = itself.map(str::trim).or(key_at(&keys, span));
            return Err(tell(path, &e, key, line_of));
        }
        let file: File = toml::from_str(text).map_err(|e| {
            let span = e.span().unwrap_or_default();
            tell(path, &e, key_at(&keys, span), line_of)
        })?;
        let url = |url: &Spanned<String>| {
            let place = || format!("{}:{}", path.display(), line_of(url.span().start));
            let parsed = url.get_ref().parse();
            parsed.map_err(|e: UrlError| format!("{}: listen: {e}", place()))
        };
        let listen = file
            .listen
            .as_ref()
            .map(|urls| urls.iter().map(url).collect::<Result<Vec<_>, _>>())
            .transpose()?;
        let same = listen.as_deref().and_then(same_place);
        if let Some((nth, text)) = same
            && let Some(url) = file.listen.iter().flatten().nth(nth)
        {
            let line = line_of(url.span().start);
            return Err(format!("{}:{line}: listen: {text}", path.display()));
        }
        let keys = keys.iter();
        Ok(Self {
            listen,
            file,
            path: path.into(),
            keys: keys
                .map(|&(at, key)| (key.to_owned(), line_of(at)))
                .collect(),
        })
    }

    /// Whether the file says something of that key.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.keys.iter().any(|(name, _)| name == key)
    }

    /// Why the hub does not start, with the place of `key` in front if the file has it.
    pub(crate) fn blame(&self, key: &str, failure: Failure) -> Failure {
        let place = self.keys.iter().find(|(name, _)| name == key);
        match (place, failure) {
            (Some((_, line)), Failure::Start(text)) => {
                Failure::Start(format!("{}:{line}: {key}: {text}", self.path.display()))
            }
            (_, failure) => failure,
        }
    }
}

/// The number of the line that has the byte `at`.
fn line_of(text: &[u8], at: usize) -> usize {
    1 + text.iter().take(at).filter(|&&b| b == b'\n').count()
}

/// The key that what lies at `at` belongs to: one whose brackets are there, or the last one before.
fn key_at<'k>(keys: &[(usize, &'k str)], at: Range<usize>) -> Option<&'k str> {
    let inside = keys.iter().find(|(start, _)| at.contains(start));
    let before = keys.iter().rev().find(|(start, _)| *start <= at.start);
    inside.or(before).map(|(_, key)| *key)
}

/// One line of what `toml` says in several.
fn tell(
    path: &Path,
    error: &toml::de::Error,
    key: Option<&str>,
    line_of: impl Fn(usize) -> usize,
) -> String {
    let line = error.span().map_or(1, |span| line_of(span.start));
    let key = key.map_or(String::new(), |key| format!("{key}: "));
    let what = error.message().replace('\n', ", ");
    let what = what.replace("expected u16", "expected a number from 0 to 65535");
    let what = ["usize", "u64"].iter().fold(what, |what, kind| {
        what.replace(&format!("expected {kind}"), "expected a number")
    });
    let hint = if what.starts_with("unknown field") {
        "; remove it, or write one of those"
    } else if ["invalid type", "invalid value", "wanted"]
        .iter()
        .any(|start| what.starts_with(start))
    {
        "; write it as the flag of that name takes it (halloo serve --help)"
    } else {
        ""
    };
    format!("{}:{line}: {key}{what}{hint}", path.display())
}

/// A number of bytes, or a text with a unit such as "64K".
#[derive(Deserialize)]
#[serde(untagged, expecting = "a number of bytes, or a size such as \"64K\"")]
enum Size {
    Number(u64),
    Text(String),
}

fn sized<'de, D: Deserializer<'de>>(
    from: D,
    parse: impl Fn(&str) -> Result<u64, &'static str>,
) -> Result<Option<u64>, D::Error> {
    let text = match Size::deserialize(from)? {
        Size::Number(number) => number.to_string(),
        Size::Text(text) => text,
    };
    parse(&text).map(Some).map_err(D::Error::custom)
}

fn bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    sized(from, data::bytes)
}

fn segment_bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    sized(from, data::segment_bytes)
}

fn size<'de, D: Deserializer<'de>>(from: D) -> Result<Option<usize>, D::Error> {
    let size = sized(from, data::bytes)?;
    Ok(size.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)))
}

fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(from)?;
    data::time(&text).map(Some).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use halloo_std::url::Transport;

    fn parse(text: &str) -> Result<File, String> {
        Config::parse(Path::new("hub.toml"), text).map(|config| config.file)
    }

    #[track_caller]
    fn refused(text: &str, place: &str, parts: &[&str]) {
        let told = parse(text).unwrap_err();
        assert!(told.starts_with(&format!("hub.toml:{place}")), "{told}");
        assert!(!told.contains('\n'), "{told}");
        for part in parts {
            assert!(told.contains(part), "{told}");
        }
    }

    #[test]
    fn an_empty_file_says_nothing() {
        assert_eq!(parse("").unwrap(), File::default());
        assert_eq!(parse("# only words\n").unwrap(), File::default());
    }

    #[test]
    fn every_option_of_serve_has_its_key() {
        use clap::CommandFactory;
        let file = parse(
            "listen = ['echo+udp://127.0.0.1:0']\nmax-connections = 1\nmax-rooms = 2\n\
             max-members = 3\nmax-body = 4\nroom-bytes = '64K'\nroom-posts = 6\n\
             latest = ['telemetry.*']\nshards = 7\ndata = '/x'\ndurability = 'disk'\n\
             keep-posts = 8\nkeep-bytes = 9\nkeep-for = '30d'\nsegment-bytes = '1M'\n",
        )
        .unwrap();
        let numbers = [
            file.max_connections,
            file.max_rooms,
            file.max_members,
            file.room_bytes,
            file.room_posts,
            file.shards,
        ];
        assert_eq!(numbers, [1, 2, 3, 65_536, 6, 7].map(Some));
        assert_eq!((file.max_body, file.keep_bytes), (Some(4), Some(9)));
        assert_eq!(file.keep_for, Some(Duration::from_secs(2_592_000)));
        let command = crate::Cli::command();
        let serve = command.find_subcommand("serve").unwrap();
        for flag in serve.get_arguments().filter_map(|arg| arg.get_long()) {
            if matches!(flag, "config" | "help" | "version" | "log") {
                continue;
            }
            let told = parse(&format!("{flag} = {{}}")).unwrap_err();
            assert!(!told.contains("unknown field"), "{told}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_file_line_and_key() {
        refused("\n\nmax-rooms = 'many'\n", "3: max-rooms: ", &["--help"]);
        refused("max-rooms = -1", "1: max-rooms: ", &["--help"]);
        refused(
            "shards = 2\nmax-rums = 1\n",
            "2: max-rums: unknown field",
            &["max-rooms", "remove it"],
        );
        refused("shards = 2\n[hub]\n", "2: hub: unknown field", &[]);
        refused(
            "listen = [\n  'echo+tcp://127.0.0.1:0',\n  'eco+tcp://127.0.0.1:0',\n]\n",
            "3: listen: ",
            &["`eco+tcp://127.0.0.1:0`", "a good one is"],
        );
        let twice = "listen = [\n 'tcp://[::1]:1',\n 'udp://[::1]:1',\n 'echo+tcp://[::1]:1',\n]";
        refused(
            twice,
            "4: listen: echo+tcp://[::1]:1 is where chat+tcp://[::1]:1 is",
            &[],
        );
        refused("keep-for = '30'", "1: keep-for: ", &["30d"]);
        refused("keep-bytes = 'x'", "1: keep-bytes: ", &["64K"]);
        refused("latest = ['A']", "1: latest: ", &["names no rooms"]);
        refused("durability = 'tape'", "1: durability: ", &["disk"]);
        refused(
            "shards = 1\nshards = 2\n",
            "2: shards: ",
            &["duplicate key"],
        );
        refused("shards = 1\nlisten = [\n", "2: listen: ", &["expected `]`"]);
    }

    #[test]
    fn what_is_no_toml_is_told_with_the_line_and_the_key_that_are_wrong() {
        let urls =
            |first: &str, second: &str| format!("shards = 1\nlisten = [\n{first}\n{second}\n]\n");
        let (echo, greet) = (
            "'echo+tcp://[::1]:0?prefix=a'",
            "'greet+tcp://[::1]:0?text=b',",
        );
        refused(&urls(echo, greet), "4: listen: ", &["comma"]);
        refused(
            &urls("\"tcp://[::1]:0?nodelay=on,", greet),
            "3: listen: ",
            &["string"],
        );
        refused(
            &urls("'tcp://[::1]:0?nodelay=on,", greet),
            "3: listen: ",
            &["string"],
        );
        refused(
            &urls("echo+tcp://[::1]:0,", greet),
            "3: listen: ",
            &["quoted"],
        );
        refused("max-rooms = 1\nshards\n", "2: shards: ", &[]);
        refused("max-rooms = 1\nshards =\n", "2: shards: ", &[]);
        refused("max-rooms = 1\n'shards' = x\n", "2: shards: ", &["quoted"]);
        refused("max-rooms = 1\n= 2\n", "2: ", &[]);
        refused(
            "max-rooms = 1\n[[listen]]\nurl = 'x'\n",
            "2: listen: ",
            &["expected a string"],
        );
        refused(
            "shards = 1\nmax-body = 2\nshards = 2\n",
            "3: shards: ",
            &["duplicate"],
        );
    }

    #[test]
    fn what_a_key_takes_is_told_in_words() {
        refused("max-rooms = 'x'", "1: max-rooms: ", &["expected a number;"]);
        refused(
            "keep-posts = 'x'",
            "1: keep-posts: ",
            &["expected a number;"],
        );
        refused(
            "max-body = 65536",
            "1: max-body: ",
            &["a number from 0 to 65535;"],
        );
        refused(
            "durability = 3",
            "1: durability: ",
            &["write it as the flag"],
        );
    }

    #[test]
    fn the_preset_opens_what_tutorials_open() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tutorials.toml");
        let listen = Config::read(Path::new(path)).unwrap().listen.unwrap();
        let opens = listen.iter().map(|endpoint| {
            let (carrier, host, port) = match &endpoint.transport {
                Transport::Tcp { host, port } => ("tcp", host, port),
                Transport::Udp { host, port } => ("udp", host, port),
                other => panic!("{other}"),
            };
            assert_eq!(host, "127.0.0.1");
            let says = endpoint.options.prefix.as_deref();
            let says = says.or(endpoint.options.text.as_deref()).unwrap_or("");
            (endpoint.protocol.name(), carrier, *port, says)
        });
        let expected = [
            ("echo", "tcp", 8080, "Echo: "),
            ("greet", "udp", 8080, "Hello UDP Client!"),
            ("echo", "udp", 8081, "UDP Echo: "),
            ("echo", "tcp", 8082, "Non-blocking echo: "),
            ("json", "tcp", 8083, ""),
            ("greet", "tcp", 12345, "Hello from server!"),
            ("greet", "udp", 12345, "Hello from UDP server!"),
            ("echo", "tcp", 65432, ""),
            ("echo", "udp", 65433, ""),
        ];
        assert_eq!(opens.collect::<Vec<_>>(), expected);
    }
}
